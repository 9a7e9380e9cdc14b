package admin

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Federation gathers the metrics of other processes beside the own ones, each
// with the label role. A process that doesn't answer is left out, and
// foodflow_admin_role_up says so.
type Federation struct {
	Own   prometheus.Gatherer
	Role  string            // of the own metrics
	Peers map[string]string // role to the URL of its admin port
}

// peerTimeout bounds the wait for one process.
const peerTimeout = 2 * time.Second

// Gather joins the families of all processes.
func (f Federation) Gather() ([]*dto.MetricFamily, error) {
	own, err := f.Own.Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering own metrics: %w", err)
	}
	all := map[string]*dto.MetricFamily{}
	join(all, own, f.Role)
	up := &dto.MetricFamily{Name: text("foodflow_admin_role_up"), Help: text("Whether the role's admin port answers."), Type: dto.MetricType_GAUGE.Enum()}
	for role, url := range f.Peers {
		value := 1.0
		families, err := fetch(url + "/metrics")
		if err != nil {
			value = 0
		}
		join(all, families, role)
		up.Metric = append(up.Metric, &dto.Metric{Label: []*dto.LabelPair{{Name: text("role"), Value: text(role)}}, Gauge: &dto.Gauge{Value: &value}})
	}
	if len(up.Metric) > 0 {
		all[up.GetName()] = up
	}
	out := make([]*dto.MetricFamily, 0, len(all))
	for _, f := range all {
		out = append(out, f)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].GetName() < out[j].GetName() })
	return out, nil
}

// join adds families with their role; processes agree on a family's type.
func join(all map[string]*dto.MetricFamily, families []*dto.MetricFamily, role string) {
	for _, f := range families {
		for _, m := range f.GetMetric() {
			m.Label = append(m.Label, &dto.LabelPair{Name: text("role"), Value: text(role)})
		}
		if have := all[f.GetName()]; have != nil {
			have.Metric = append(have.Metric, f.Metric...)
		} else {
			all[f.GetName()] = f
		}
	}
}

func fetch(url string) ([]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(context.Background(), peerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", url, err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	parsed, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading metrics of %s: %w", url, err)
	}
	out := make([]*dto.MetricFamily, 0, len(parsed))
	for _, f := range parsed {
		out = append(out, f)
	}
	return out, nil
}

func text(s string) *string { return &s }
