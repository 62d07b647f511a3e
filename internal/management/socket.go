package management

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/deployment"
	"github.com/portreeve/portreeve/internal/keys"
)

// SocketFile is the socket's name in the data directory.
const SocketFile = "admin.sock"

// Server answers the management API on the socket of a data directory.
type Server struct {
	http *http.Server
	done chan struct{}
}

// Start serves a state's management API until Close. The state must have been opened with a store.
func Start(s *deployment.State, reload func(context.Context) error) (*Server, error) {
	l, err := Listen(s.Plan().Server.Data)
	if err != nil {
		return nil, err
	}
	srv := &Server{done: make(chan struct{}), http: &http.Server{
		Handler:           New(s, reload),
		ConnContext:       connected,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      actTimeout + 10*time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(discard{}, "", 0), // what goes wrong with an act is told to who asked
	}}
	go func() {
		defer close(srv.done)
		_ = srv.http.Serve(l) // ends with Close
	}()
	return srv, nil
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// Close removes the socket and lets acts on their way end. It goes before the state's own Close.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), actTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("closing %s: %w", SocketFile, err), s.http.Close())
	}
	<-s.done
	return err
}

// connected gives a connection its actor. Only the owner of the process and root may ask; for anybody else, and where the
// kernel does not say, there is none, and the handler refuses.
func connected(ctx context.Context, c net.Conn) context.Context {
	cred, err := peer(c)
	if err != nil || !slices.Contains([]uint32{0, uint32(os.Geteuid())}, cred.Uid) {
		return ctx
	}
	return WithActor(ctx, uid(int(cred.Uid)))
}

func uid(n int) string { return "uid:" + strconv.Itoa(n) }

// peer asks the kernel who is at the other end.
func peer(c net.Conn) (cred *unix.Ucred, err error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a connection of a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, err
	}
	cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return cred, errors.Join(cerr, err)
}

// Listen opens the socket of a data directory that this process owns (keys.Lock), with mode 0600 from its first moment. A
// stale socket is replaced; anything else of that name, a symbolic link too, is an error. Closing the listener removes it.
func Listen(dir string) (_ net.Listener, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("listening on %s: %w", filepath.Join(dir, SocketFile), err)
		}
	}()
	if !keys.Owns(dir) {
		return nil, errors.New("this process does not own the data directory")
	}
	path := filepath.Join(dir, SocketFile)
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, errors.New("something that is not a socket has that name")
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// Bound in a directory that is nobody else's, and renamed when its mode is right: the umask is the whole process's and
	// cannot be borrowed for a moment.
	nest := path + ".new"
	if err := os.RemoveAll(nest); err != nil { // of a start that was interrupted
		return nil, err
	}
	if err := os.Mkdir(nest, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(nest)
	l, err := bind(nest)
	if err != nil {
		return nil, err
	}
	draft := filepath.Join(nest, SocketFile)
	err = os.Chmod(draft, 0o600)
	if err == nil {
		err = os.Rename(draft, path)
	}
	var file fs.FileInfo
	if err == nil {
		file, err = os.Lstat(path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return &listener{UnixListener: l, path: path, file: file}, nil
}

// maxPath is the longest path that every system binds a socket to (sun_path, less its end).
const maxPath = 103

func bind(dir string) (*net.UnixListener, error) {
	short, done, err := reachable(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, SocketFile), Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // its path is another one by then
	return l, nil
}

// reachable returns a path of a directory that is short enough for a socket in it.
func reachable(dir string) (short string, done func(), err error) {
	if len(filepath.Join(dir, SocketFile)) <= maxPath {
		return dir, func() {}, nil
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return "/proc/self/fd/" + strconv.Itoa(fd), func() { _ = unix.Close(fd) }, nil
}

// listener removes its socket when it is closed, unless another has its name by then.
type listener struct {
	*net.UnixListener
	path string
	file fs.FileInfo
	once sync.Once
}

func (l *listener) Close() (err error) {
	l.once.Do(func() {
		if now, serr := os.Lstat(l.path); serr == nil && os.SameFile(now, l.file) {
			err = os.Remove(l.path)
		}
		err = errors.Join(err, l.UnixListener.Close())
	})
	return err
}

// ErrNotRunning: nobody serves the data directory's socket.
var ErrNotRunning = errors.New("no gate answers on the admin socket")

// connect opens the socket, after making sure that what it names can only be the owner's.
func connect(ctx context.Context, dir string) (net.Conn, error) {
	path := filepath.Join(dir, SocketFile)
	home, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotRunning
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is not a socket", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s has mode %04o: others may use it; stop the gate and remove it", path, info.Mode().Perm())
	}
	if err := keys.CheckDirectory(dir); err != nil {
		return nil, err
	}
	short, done, err := reachable(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	c, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(short, SocketFile))
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) {
		return nil, ErrNotRunning // it ended without removing it, or just now
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", path, err)
	}
	// A password is about to be sent: the other end must be root or whose directory it is.
	cred, err := peer(c)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("asking who serves %s: %w", path, err)
	}
	owner := home.Sys().(*syscall.Stat_t).Uid
	if cred.Uid != 0 && cred.Uid != owner {
		c.Close()
		return nil, fmt.Errorf("%s is served by uid %d, not by its owner, uid %d", path, cred.Uid, owner)
	}
	return c, nil
}
