package management

import (
	"context"
	"net/http"

	"github.com/portreeve/portreeve/internal/keys"
)

func (h *handler) addUser(ctx context.Context, r *http.Request) (any, error) {
	n, err := read[NewUser](r)
	if err != nil {
		return nil, err
	}
	if err := keys.CheckName(n.Name); err != nil { // before it stands in an event
		return nil, err
	}
	var u *keys.User
	err = h.record(ctx, keys.UserAdded, n.Name, func() (act keys.Act, err error) {
		u, act, err = h.state.Manager.AddUser(ctx, keys.NewUser{Name: n.Name, Subject: n.Subject, Password: n.Password, Roles: n.Roles})
		return act, err
	})
	if err != nil {
		return nil, err
	}
	out := shownUser(u)
	out.Schema, out.Warnings = "portreeve/user/v1", unknownRoles(h.state.Plan(), u.Roles)
	return out, nil
}

func shownUser(u *keys.User) User {
	return User{Name: u.Name, Subject: u.Subject, Roles: some(u.Roles), Disabled: u.Disabled, HasPassword: u.PasswordHash != "",
		Created: u.Created, Changed: u.Changed, PasswordChanged: u.PasswordChanged}
}

func (h *handler) listUsers(ctx context.Context, _ *http.Request) (any, error) {
	us, err := h.state.Manager.Users(ctx)
	if err != nil {
		return nil, err
	}
	list := UserList{Schema: "portreeve/users/v1", Users: make([]User, 0, len(us))}
	for _, u := range us {
		list.Users = append(list.Users, shownUser(u))
	}
	return list, nil
}

func (h *handler) disableUser(ctx context.Context, r *http.Request) (any, error) {
	return h.changeUser(ctx, r, keys.UserDisabled, h.state.Manager.DisableUser)
}

func (h *handler) enableUser(ctx context.Context, r *http.Request) (any, error) {
	return h.changeUser(ctx, r, keys.UserEnabled, h.state.Manager.EnableUser)
}

func (h *handler) setPassword(ctx context.Context, r *http.Request) (any, error) {
	n, err := read[NewPassword](r)
	if err != nil {
		return nil, err
	}
	return h.changeUser(ctx, r, keys.PasswordChanged, func(ctx context.Context, name string) (keys.Act, error) {
		return h.state.Manager.SetPassword(ctx, name, n.Password)
	})
}

func (h *handler) changeUser(ctx context.Context, r *http.Request, verb keys.ActKind, change func(context.Context, string) (keys.Act, error)) (any, error) {
	name := r.PathValue("name")
	if err := keys.CheckName(name); err != nil {
		return nil, err
	}
	if err := h.record(ctx, verb, name, func() (keys.Act, error) { return change(ctx, name) }); err != nil {
		return nil, err
	}
	u, err := h.state.Manager.User(ctx, name)
	if err != nil {
		return nil, err
	}
	out := shownUser(u)
	out.Schema = "portreeve/user/v1"
	return out, nil
}
