package api

import (
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
)

type reasonList struct {
	ListIn
	ParentID string `query:"parent_id" format:"uuid" doc:"only the children of this reason"`
}

func (l reasonList) where() map[string]string { return map[string]string{"parent_id": l.ParentID} }

func immutable(field string) error {
	return fault.NewInvalid(fault.Item{Location: field, Rule: "immutable", Message: "can't be changed"})
}

// productRoutes declares products, calendars and stop reasons.
func (s *Server) productRoutes() {
	crudRoutes[masterdata.Product, masterdata.ProductFields, plainList](s, &resource[masterdata.Product, masterdata.ProductFields]{
		path: opsPath + "products", noun: "product", tag: "products", things: s.Store.Products(), write: managers(),
		fields: func(x *masterdata.Product) *masterdata.ProductFields { return &x.ProductFields },
		meta:   func(x *masterdata.Product) *masterdata.Meta { return &x.Meta },
		key:    func(x *masterdata.Product) string { return x.Key },
		check: func(before, after *masterdata.Product) error {
			if before.Key != after.Key {
				return immutable("key")
			}
			return nil
		},
	})
	crudRoutes[masterdata.Calendar, masterdata.CalendarFields, plainList](s, &resource[masterdata.Calendar, masterdata.CalendarFields]{
		path: opsPath + "calendars", noun: "calendar", tag: "calendars", things: s.Store.Calendars(), write: managers(),
		fields: func(x *masterdata.Calendar) *masterdata.CalendarFields { return &x.CalendarFields },
		meta:   func(x *masterdata.Calendar) *masterdata.Meta { return &x.Meta },
		key:    func(x *masterdata.Calendar) string { return x.Key },
	})
	crudRoutes[masterdata.StopReason, masterdata.StopReasonFields, reasonList](s, &resource[masterdata.StopReason, masterdata.StopReasonFields]{
		path: opsPath + "stop-reasons", noun: "stop-reason", tag: "stop reasons", things: s.Store.StopReasons(), write: managers(),
		fields: func(x *masterdata.StopReason) *masterdata.StopReasonFields { return &x.StopReasonFields },
		meta:   func(x *masterdata.StopReason) *masterdata.Meta { return &x.Meta },
		key:    func(x *masterdata.StopReason) string { return x.Key },
	})
}
