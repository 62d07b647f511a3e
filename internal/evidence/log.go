package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/ledger"
)

// The states of a ledger.
const (
	verified = "verified"
	broken   = "broken"
	notGiven = "not given"
)

// Log is what a ledger says of a period, in rows that hold no person: who did something is left out, that somebody known did
// it is not. Equal rows are counted in one.
type Log struct {
	State   string    `json:"state"` // verified, broken, "not given"
	Problem string    `json:"problem,omitempty"`
	Lines   uint64    `json:"lines"` // of the whole ledger, all verified
	Head    string    `json:"head,omitempty"`
	First   time.Time `json:"first,omitzero"` // line of the ledger
	Last    time.Time `json:"last,omitzero"`
	Signed  *Signed   `json:"signed,omitempty"`
	Rows    []Row     `json:"rows"`
}

// Signed is the newest checkpoint of the ledger (c2sp.org/tlog-checkpoint), and which checkpoints from elsewhere it holds.
type Signed struct {
	Checkpoint string   `json:"checkpoint"` // signed note
	Size       uint64   `json:"size"`
	Key        string   `json:"key"`     // note verifier key
	Anchors    []uint64 `json:"anchors"` // lines up to which checkpoints kept elsewhere hold
}

// Row is a kind of event and how often it occurred.
type Row struct {
	Day        string   `json:"day"` // UTC
	Class      string   `json:"class"`
	Phase      string   `json:"phase,omitempty"`
	Operation  string   `json:"operation,omitempty"`
	Method     string   `json:"method,omitempty"`
	Status     int      `json:"status,omitempty"`
	Decision   string   `json:"decision,omitempty"` // permit, deny, observe
	Stage      string   `json:"stage,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	Record     string   `json:"record,omitempty"`
	Plan       string   `json:"plan,omitempty"`
	Verb       string   `json:"verb,omitempty"`
	Issuer     string   `json:"issuer,omitempty"`
	Roles      []string `json:"roles,omitempty"`
	Observed   []string `json:"observed,omitempty"`   // stages that let something pass
	Identified bool     `json:"identified,omitempty"` // somebody known
	Credential bool     `json:"credential,omitempty"` // by a credential that has an id or an issuer
	Object     bool     `json:"object,omitempty"`     // an object was decided on
	Actor      bool     `json:"actor,omitempty"`      // of an act
	Traced     bool     `json:"traced,omitempty"`     // it carries the id of its exchange
	Intended   bool     `json:"intended,omitempty"`   // an outcome whose intent came before it
	Twice      bool     `json:"twice,omitempty"`      // a second outcome of one intent
	Open       bool     `json:"open,omitempty"`       // an intent without an outcome
	Unclean    bool     `json:"unclean,omitempty"`    // a start that follows no stop
	Incomplete bool     `json:"incomplete,omitempty"` // a field that every event has is missing
	Secret     bool     `json:"secret,omitempty"`     // something that looks like a credential
	Lost       int      `json:"lost,omitempty"`       // events that the ledger says it lost
	N          int      `json:"n"`                    // how often; of refusals that were only counted, their number
	Line       uint64   `json:"line"`                 // of the first
}

// Obeyed reports whether some event of the period tells of a plan.
func (l *Log) Obeyed(plan string) bool {
	return slices.ContainsFunc(l.Rows, func(r Row) bool { return r.Plan == plan })
}

// event is what is read of a line.
type event struct {
	ClassUID int    `json:"class_uid"`
	Class    string `json:"class_name"`
	Time     int64  `json:"time"`
	Message  string `json:"message"`
	Count    int    `json:"count"`
	Metadata struct {
		UID string `json:"correlation_uid"`
	} `json:"metadata"`
	Actor struct {
		User struct {
			Type       string `json:"type"`
			UID        string `json:"uid"`
			Domain     string `json:"domain"`
			Credential string `json:"credential_uid"`
			Groups     []struct {
				Name string `json:"name"`
			} `json:"groups"`
		} `json:"user"`
	} `json:"actor"`
	API struct {
		Operation string `json:"operation"`
	} `json:"api"`
	Request struct {
		Method string `json:"http_method"`
	} `json:"http_request"`
	Response struct {
		Code int `json:"code"`
	} `json:"http_response"`
	Resources []struct {
		Type string `json:"type"`
	} `json:"resources"`
	Authorizations []struct {
		Decision string `json:"decision"`
	} `json:"authorizations"`
	Unmapped struct {
		Phase    string   `json:"phase"`
		Record   string   `json:"record"`
		Stage    string   `json:"stage"`
		Reason   string   `json:"reason"`
		Observed []string `json:"observed"`
		Plan     string   `json:"plan"`
		Verb     string   `json:"verb"`
	} `json:"unmapped"`
	Ledger struct {
		Seq uint64 `json:"seq"`
	} `json:"ledger"`
}

// The classes of events, by their OCSF number.
const (
	classRequest   = 6003
	classAct       = 3004
	classLifecycle = 6002
	classAlert     = 2004
)

var (
	// credentials that have no place in an event: tokens, keys of the gate and of clouds, private keys.
	secrets = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.|\bptr_(live|test)_[0-9A-Za-z]{10}_[0-9A-Za-z]{10}|(?i:bearer|basic) [A-Za-z0-9+/=_.-]{16,}|-----BEGIN [A-Z ]*PRIVATE KEY|\bsk-[A-Za-z0-9_-]{16,}|\bAKIA[0-9A-Z]{16}\b`)
	losses  = regexp.MustCompile(`^(\d+) events were lost`)
)

// ReadLog verifies a ledger and reads a period of it. A ledger that does not verify is no error: it is evidence, of which
// nothing can be counted.
//
// anchors are checkpoints of it that were kept elsewhere; each must hold.
func ReadLog(dir string, from, to time.Time, anchors ...ledger.Checkpoint) (*Log, error) {
	report, err := ledger.Verify(dir, anchors...)
	switch {
	case ledger.Tampered(err):
		return &Log{State: broken, Problem: err.Error(), Lines: report.Lines, Rows: []Row{}}, nil
	case err != nil:
		return nil, err
	case report.Lines == 0:
		return &Log{State: notGiven, Problem: "it has no line", Rows: []Row{}}, nil
	}
	l := &Log{State: verified, Lines: report.Lines, Rows: []Row{}}
	if c := report.Checkpoint; c.Size > 0 {
		l.Signed = &Signed{string(c.Note), c.Size, report.Key, append([]uint64{}, report.Foreign...)}
	}
	open := map[string]bool{}
	for _, id := range report.Unresolved {
		open[id] = true
	}
	r := &reader{log: l, from: from, to: to, open: open, intents: map[string]int{}, index: map[string]int{}}
	if err := ledger.Read(dir, r.line); err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if r.lines != report.Lines {
		return nil, fmt.Errorf("reading ledger: it had %d lines and has %d", report.Lines, r.lines)
	}
	return l, nil
}

// errEnough ends reading where the lines end that were verified.
var errEnough = errors.New("enough")

type reader struct {
	log      *Log
	from, to time.Time
	lines    uint64
	running  bool
	open     map[string]bool
	intents  map[string]int // outcomes of each intent
	index    map[string]int // of rows, by their content
}

func (r *reader) line(segment string, n int, line []byte) error {
	if r.lines == r.log.Lines {
		return errEnough
	}
	r.lines++
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("reading %s line %d: %w", segment, n, err)
	}
	at := time.UnixMilli(e.Time).UTC()
	if r.log.First.IsZero() {
		r.log.First = at
	}
	r.log.Last, r.log.Head = at, Sum(line)
	row := r.row(&e, line, at)
	if at.Before(r.from) || at.After(r.to) {
		return nil
	}
	times := max(1, e.Count)
	key, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("counting %s line %d: %w", segment, n, err)
	}
	if i, ok := r.index[string(key)]; ok {
		r.log.Rows[i].N += times
		return nil
	}
	r.index[string(key)] = len(r.log.Rows)
	row.N, row.Line = times, e.Ledger.Seq
	r.log.Rows = append(r.log.Rows, row)
	return nil
}

func (r *reader) row(e *event, line []byte, at time.Time) Row {
	u, x := e.Actor.User, e.Unmapped
	row := Row{Day: at.Format(time.DateOnly), Class: e.Class, Phase: x.Phase, Operation: e.API.Operation, Method: e.Request.Method, Status: e.Response.Code,
		Stage: x.Stage, Reason: x.Reason, Record: x.Record, Plan: x.Plan, Verb: x.Verb, Issuer: u.Domain, Traced: e.Metadata.UID != "", Secret: secrets.Match(line)}
	if len(e.Authorizations) > 0 {
		row.Decision = e.Authorizations[0].Decision
	}
	for _, g := range u.Groups {
		row.Roles = append(row.Roles, g.Name)
	}
	slices.Sort(row.Roles)
	for _, o := range x.Observed {
		stage, _, _ := strings.Cut(o, ":")
		row.Observed = append(row.Observed, stage)
	}
	slices.Sort(row.Observed)
	row.Observed = slices.Compact(row.Observed)
	row.Incomplete = e.Time == 0 || e.ClassUID == 0
	switch e.ClassUID {
	case classRequest:
		row.Identified = u.UID != ""
		row.Credential = u.Credential != "" || u.Domain != ""
		row.Object = len(e.Resources) > 0
		summary := x.Phase == string(ledger.Summary)
		row.Incomplete = row.Incomplete || e.API.Operation == "" || x.Phase == "" || x.Plan == "" || row.Decision == "" || e.Request.Method == "" || u.Type == "" || !summary && e.Metadata.UID == "" ||
			row.Decision == "deny" && x.Reason == ""
	case classAct:
		row.Actor = u.UID != ""
		row.Incomplete = row.Incomplete || x.Verb == "" || e.Metadata.UID == ""
	case classLifecycle:
		row.Unclean = x.Verb == "start" && r.running
		r.running = x.Verb != "stop"
	case classAlert:
		if m := losses.FindStringSubmatch(e.Message); m != nil {
			fmt.Sscan(m[1], &row.Lost)
		}
	}
	switch ledger.Phase(x.Phase) {
	case ledger.Intent:
		row.Open = r.open[e.Metadata.UID]
		r.intents[e.Metadata.UID] = 0
	case ledger.Outcome:
		n, there := r.intents[e.Metadata.UID]
		row.Intended, row.Twice = there, there && n > 0
		if there {
			r.intents[e.Metadata.UID] = n + 1
		}
	}
	return row
}
