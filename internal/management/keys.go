package management

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/keys"
	"github.com/portreeve/portreeve/internal/plan"
)

func (h *handler) createKey(ctx context.Context, r *http.Request) (any, error) {
	n, err := read[NewKey](r)
	if err != nil {
		return nil, err
	}
	var issued keys.Issued
	err = h.record(ctx, keys.KeyCreated, "owner "+n.Owner, func() (act keys.Act, err error) {
		issued, act, err = h.state.Manager.CreateKey(ctx, keys.NewKey{Environment: keys.Environment(n.Environment), Owner: n.Owner, Purpose: n.Purpose,
			Scopes: n.Scopes, Roles: n.Roles, AllowIPs: n.AllowIPs, Expires: n.Expires})
		return act, err
	})
	if err != nil {
		return nil, err
	}
	return h.told(issued, time.Time{}), nil
}

// told is a key with its secret.
func (h *handler) told(i keys.Issued, previousEnds time.Time) Key {
	k := shown(i.Key, h.state.Clock())
	k.Schema, k.Secret, k.PreviousEnds, k.Warnings = "portreeve/key/v1", i.Secret, previousEnds, unknownRoles(h.state.Plan(), i.Key.Roles)
	return k
}

// unknownRoles warns of roles that grant nothing because no configuration defines them: a spelling error is found here,
// not in production. Without a configuration nothing is known.
func unknownRoles(p *plan.Plan, roles []string) (warnings []string) {
	if p.Hash == "" {
		return nil
	}
	defined := make(map[string]bool, len(p.Roles))
	for _, r := range p.Roles {
		defined[r.Name] = true
	}
	for _, r := range roles {
		if !defined[r] {
			warnings = append(warnings, fmt.Sprintf("role %q is not defined in the configuration and permits nothing", r))
		}
	}
	return warnings
}

// shown is what may be seen of a key.
func shown(k *keys.APIKey, now time.Time) Key {
	return Key{ID: k.ID, Prefix: k.Prefix(), Status: status(k, now), Environment: string(k.Environment), Owner: k.Owner, Purpose: k.Purpose,
		Scoped: k.Scoped, Scopes: some(k.Scopes), Roles: some(k.Roles), AllowIPs: append([]netip.Prefix{}, k.AllowIPs...),
		Created: k.Created, Expires: k.Expires, Ends: k.Ends(), Revoked: k.Revoked, RotatedFrom: k.RotatedFrom, LastUsed: k.LastUsed}
}

func status(k *keys.APIKey, now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !now.Before(k.Ends()):
		return "expired"
	case k.Disabled:
		return "disabled"
	case !k.OverlapUntil.IsZero():
		return "overlap"
	}
	return "active"
}

// some is a list that is never null in JSON.
func some(list []string) []string { return append([]string{}, list...) }

// page bounds a list's answer.
const page = 500

func (h *handler) listKeys(ctx context.Context, r *http.Request) (any, error) {
	f := keys.KeyFilter{Owner: r.FormValue("owner"), After: r.FormValue("after"), Limit: page}
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > page {
			return nil, &keys.InvalidError{Field: "limit", Problem: fmt.Sprintf("must be between 1 and %d", page)}
		}
		f.Limit = n
	}
	if err := h.state.Directory.Flush(ctx); err != nil { // so that last uses are not a minute old
		return nil, err
	}
	ks, err := h.state.Manager.Keys(ctx, f)
	if err != nil {
		return nil, err
	}
	list := KeyList{Schema: "portreeve/keys/v1", Keys: make([]Key, 0, len(ks)), More: len(ks) == f.Limit}
	now := h.state.Clock()
	for _, k := range ks {
		list.Keys = append(list.Keys, shown(k, now))
	}
	return list, nil
}

func (h *handler) rotateKey(ctx context.Context, r *http.Request) (any, error) {
	n, err := read[Rotation](r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	if err := keys.CheckID(id); err != nil {
		return nil, err
	}
	const year = 366 * 24 * 60 * 60
	if n.OverlapSeconds < 0 || n.OverlapSeconds > year {
		return nil, &keys.InvalidError{Field: "overlap", Problem: "must be between 0 and a year"}
	}
	var issued keys.Issued
	var done keys.Act
	err = h.record(ctx, keys.KeyRotated, id, func() (act keys.Act, err error) {
		issued, act, err = h.state.Manager.RotateKey(ctx, id, time.Duration(n.OverlapSeconds)*time.Second)
		done = act
		return act, err
	})
	if err != nil {
		return nil, err
	}
	return h.told(issued, done.Ends), nil
}

func (h *handler) revokeKey(ctx context.Context, r *http.Request) (any, error) {
	id := r.PathValue("id")
	if err := keys.CheckID(id); err != nil {
		return nil, err
	}
	err := h.record(ctx, keys.KeyRevoked, id, func() (keys.Act, error) { return h.state.Manager.RevokeKey(ctx, id) })
	if err != nil {
		return nil, err
	}
	k, err := h.state.Manager.Key(ctx, id)
	if err != nil {
		return nil, err
	}
	out := shown(k, h.state.Clock())
	out.Schema = "portreeve/key/v1"
	return out, nil
}
