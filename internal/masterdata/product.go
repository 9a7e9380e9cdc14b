package masterdata

import (
	"fmt"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
)

// Product is something a line makes.
type Product struct {
	Meta
	ProductFields
}

// ProductFields is what a user says of a product. Its key stands on stored
// figures and so can't be changed.
type ProductFields struct {
	Key       string   `json:"key" minLength:"1" maxLength:"100" doc:"the plant's own name of it; can't be changed" example:"water-500"`
	Name      string   `json:"name" minLength:"1" maxLength:"200" example:"Still water 0.5 l"`
	Unit      string   `json:"unit" minLength:"1" maxLength:"32" doc:"what it is counted in" example:"bottle"`
	Allergens []string `json:"allergens,omitempty" nullable:"false" maxItems:"50" doc:"allergens it contains" example:"[\"sesame\"]"`
}

// Products gives the operations on products.
func (s *Store) Products() set[Product] { return set[Product]{s, productResource(), nil} }

func productResource() *resource[Product] {
	return &resource[Product]{
		table: "products", aggregate: directory.KindProduct, noun: "Product",
		columns: []string{"key", "name", "unit", "allergens"},
		meta:    func(p *Product) *Meta { return &p.Meta },
		bind:    func(p *Product) []any { return []any{&p.Key, &p.Name, &p.Unit, &p.Allergens} },
		check: func(p *Product) *rules {
			if p.Allergens == nil {
				p.Allergens = []string{}
			}
			var r rules
			r.key("key", p.Key, plant.MaxProduct)
			r.text("name", p.Name, 1, 200)
			r.text("unit", p.Unit, 1, plant.MaxUnit)
			if r.count("allergens", len(p.Allergens), 50) {
				for i, a := range p.Allergens {
					r.text(fmt.Sprintf("allergens[%d]", i), a, 1, 100)
				}
			}
			return &r
		},
		entry: func(tenant plant.ID, p *Product) any {
			return directory.Product{ID: p.ID, Tenant: tenant, Key: p.Key, Name: p.Name, Unit: p.Unit}
		},
	}
}

// StopReason is a node of the tree of reasons.
type StopReason struct {
	Meta
	StopReasonFields
}

// StopReasonFields is what a user says of a stop reason.
type StopReasonFields struct {
	ParentID *plant.ID `json:"parent_id,omitempty" format:"uuid" doc:"the reason it is a part of; none: a root"`
	Key      string    `json:"key" minLength:"1" maxLength:"100" doc:"what line events name" example:"filler-jam"`
	Name     string    `json:"name" minLength:"1" maxLength:"200" example:"Filler jam"`
	Class    string    `json:"class,omitempty" doc:"class of the time ledger; empty leaves it to the line's state" example:"breakdown"`
}

// StopReasons gives the operations on stop reasons.
func (s *Store) StopReasons() set[StopReason] {
	return set[StopReason]{s, reasonResource(), []string{"parent_id"}}
}

func reasonResource() *resource[StopReason] {
	return &resource[StopReason]{
		table: "stop_reasons", aggregate: directory.KindStopReason, noun: "StopReason",
		columns: []string{"parent_id", "key", "name", "class"},
		meta:    func(x *StopReason) *Meta { return &x.Meta },
		bind:    func(x *StopReason) []any { return []any{&x.ParentID, &x.Key, &x.Name, &x.Class} },
		check: func(x *StopReason) *rules {
			var r rules
			r.key("key", x.Key, 100)
			r.text("name", x.Name, 1, 200)
			if x.ParentID != nil && *x.ParentID == x.ID {
				r.add("parent_id", "cycle", "would make the reason a part of itself")
			}
			if x.Class != "" {
				r.oneOf("class", x.Class, plant.TimeClasses())
			}
			return &r
		},
		save: noCycle,
		entry: func(tenant plant.ID, x *StopReason) any {
			e := directory.StopReason{ID: x.ID, Tenant: tenant, Key: x.Key, Name: x.Name, Class: x.Class}
			if x.ParentID != nil {
				e.Parent = *x.ParentID
			}
			return e
		},
	}
}
