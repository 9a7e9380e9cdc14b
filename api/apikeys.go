package api

import (
	"context"
	"net/http"

	"github.com/foodflow/foodflow/internal/masterdata"
)

// createdKey shows the key itself, this once.
type createdKey struct {
	masterdata.APIKey
	Key string `json:"key" doc:"the whole key; it is never shown again" example:"ff_k3v7q2m4x5n6p7ra_…"`
}

func (s *Server) keyRoutes() {
	r := &resource[masterdata.APIKey, masterdata.APIKeyFields]{
		path: "/api/v1/api-keys", noun: "api-key", tag: "api keys", things: keyThings{s.Store.APIKeys()}, read: managers(), write: admins(), bookkept: true,
		fields: func(x *masterdata.APIKey) *masterdata.APIKeyFields { return &x.APIKeyFields },
		meta:   func(x *masterdata.APIKey) *masterdata.Meta { return &x.Meta },
		key:    func(x *masterdata.APIKey) string { return x.Public },
	}
	listRoute[masterdata.APIKey, masterdata.APIKeyFields, plainList](s, r)
	r.getRoute(s)
	r.patchRoute(s)
	r.deleteRoute(s)
	op := r.op(http.MethodPost, "", "create", "Create an API key; its text is shown this once")
	op.DefaultStatus = http.StatusCreated
	handle(s, admins(), changesOnce(op), func(ctx context.Context, in *createIn[masterdata.APIKeyFields]) (*createdOut[createdKey], error) {
		k, clear, err := s.Store.APIKeys().Create(ctx, principal(ctx).Actor(), in.Body)
		if err != nil {
			return nil, err
		}
		return &createdOut[createdKey]{etag(k.Version), r.path + "/" + k.ID.String(), &createdKey{*k, clear.Reveal()}}, nil
	})
}

// keyThings fits keys to the common routes: to delete one is to revoke it.
type keyThings struct{ masterdata.APIKeys }

// Create is not offered: a key is made with its secret, by its own route.
func (keyThings) Create(context.Context, masterdata.Actor, *masterdata.APIKey) error {
	return missing("route")
}

// Delete revokes.
func (x keyThings) Delete(ctx context.Context, who masterdata.Actor, id string, expected int64) error {
	_, err := x.Revoke(ctx, who, id, expected)
	return err
}
