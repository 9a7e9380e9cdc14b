package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/masterdata"
)

type userList struct {
	ListIn
	Role string `query:"role" enum:"admin,manager,operator,viewer,ingest" doc:"only users of this role"`
}

func (l userList) where() map[string]string { return map[string]string{"role": l.Role} }

type newUser struct {
	Email    string `json:"email" format:"email" maxLength:"254" doc:"unique in the installation" example:"ana@acme.example"`
	Name     string `json:"name" minLength:"1" maxLength:"200" example:"Ana Ruiz"`
	Role     string `json:"role" enum:"admin,manager,operator,viewer,ingest" example:"operator"`
	Password string `json:"password" minLength:"10" maxLength:"256" format:"password" example:"correct horse battery staple"`
}

type passwordIn struct {
	ID   string `path:"id" format:"uuid" doc:"id of the user"`
	Body struct {
		Password string `json:"password" minLength:"10" maxLength:"256" format:"password"`
	}
}

const usersPath = "/api/v1/users"

func (s *Server) userRoutes() {
	r := &resource[masterdata.User, masterdata.UserFields]{
		path: usersPath, noun: "user", tag: "users", things: s.Store.Users(), read: managers(), write: admins(), bookkept: true,
		fields: func(x *masterdata.User) *masterdata.UserFields { return &x.UserFields },
		meta:   func(x *masterdata.User) *masterdata.Meta { return &x.Meta },
		key:    func(x *masterdata.User) string { return x.Email },
	}
	listRoute[masterdata.User, masterdata.UserFields, userList](s, r)
	r.getRoute(s)
	r.patchRoute(s)
	r.deleteRoute(s)
	op := r.op(http.MethodPost, "", "create", "Create a user")
	op.DefaultStatus = http.StatusCreated
	op.Errors = []int{http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError}
	handle(s, admins(), changesOnce(op), func(ctx context.Context, in *createIn[newUser]) (*createdOut[masterdata.User], error) {
		hash, err := s.Auth.HashPassword(ctx, in.Body.Password)
		if err != nil {
			return nil, err
		}
		u := &masterdata.User{UserFields: masterdata.UserFields{Email: in.Body.Email, Name: in.Body.Name, Role: in.Body.Role, Active: true}, Hash: hash}
		if err := s.Store.Users().Create(ctx, principal(ctx).Actor(), u); err != nil {
			return nil, err
		}
		return &createdOut[masterdata.User]{etag(u.Version), usersPath + "/" + u.ID.String(), u}, nil
	})
	s.passwordRoute()
}

func (s *Server) passwordRoute() {
	op := huma.Operation{
		Method: http.MethodPost, Path: usersPath + "/{id}/password", OperationID: "set-user-password", Summary: "Set a password and end the user's log-ins", Tags: []string{"users"},
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError},
	}
	handle(s, admins(), changesOnce(op), func(ctx context.Context, in *passwordIn) (*emptyOut, error) {
		hash, err := s.Auth.HashPassword(ctx, in.Body.Password)
		if err != nil {
			return nil, err
		}
		_, err = s.Store.Users().Update(ctx, principal(ctx).Actor(), in.ID, masterdata.AnyVersion, func(u *masterdata.User) error {
			u.Hash = hash
			return nil
		})
		return &emptyOut{}, err
	})
}
