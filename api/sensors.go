package api

import (
	"github.com/foodflow/foodflow/internal/masterdata"
)

type sensorList struct {
	ListIn
	LineID string `query:"line_id" format:"uuid" doc:"only sensors of this line"`
	Kind   string `query:"kind" maxLength:"64" doc:"only sensors of this kind"`
}

func (l sensorList) where() map[string]string {
	return map[string]string{"line_id": l.LineID, "kind": l.Kind}
}

func (s *Server) sensorRoutes() {
	crudRoutes[masterdata.Sensor, masterdata.SensorFields, sensorList](s, &resource[masterdata.Sensor, masterdata.SensorFields]{
		path: opsPath + "sensors", noun: "sensor", tag: "sensors", things: s.Store.Sensors(), write: managers(),
		fields: func(x *masterdata.Sensor) *masterdata.SensorFields { return &x.SensorFields },
		meta:   func(x *masterdata.Sensor) *masterdata.Meta { return &x.Meta },
		key:    func(x *masterdata.Sensor) string { return x.Key },
	})
}
