package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/pkg/check"
)

// nagiosStatus gives the exit code of monitoring plugins; ok has none.
func nagiosStatus(s check.Status) error {
	switch s {
	case check.Warning:
		return &statusError{1}
	case check.Critical:
		return &statusError{2}
	case check.OK, check.Skipped:
	}
	return nil
}

// printNagios prints what monitoring plugins print: one line, and behind a bar the performance data. What is worst
// comes first; the bar stands nowhere else.
func (p *program) printNagios(d *checkDocument) error {
	var told []string
	counts := map[check.Status]int{}
	var data []string
	for _, f := range d.Checks {
		counts[f.Status]++
		for _, m := range f.Metrics {
			data = append(data, nagiosMetric(f, m))
		}
	}
	for _, s := range []check.Status{check.Critical, check.Warning} {
		for _, f := range d.Checks {
			if f.Status == s {
				told = append(told, findingName(f)+": "+f.Message)
			}
		}
	}
	if len(told) == 0 {
		told = append(told, fmt.Sprintf("%d checks ok, %d skipped", counts[check.OK], counts[check.Skipped]))
	}
	text := strings.ReplaceAll(strings.Join(told, "; "), "|", "/")
	status := strings.ToUpper(string(d.Status))
	return p.printf("PGINCR %s - %s: %s | %s\n", status, d.Cluster, text, strings.Join(data, " "))
}

// nagiosMetric is one number: name=value[unit];warning;critical. A limit is that of the state which it leads to. Where
// there are several repositories, each has its own: monitoring takes the same name twice for the same number.
func nagiosMetric(f check.Finding, m check.Metric) string {
	number := func(v float64) string { return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64) }
	name := m.Name
	if f.Repo != "" {
		name = "'" + strings.NewReplacer("'", "_", "=", "_", "|", "_").Replace(name+" "+f.Repo) + "'"
	}
	text := name + "=" + number(m.Value) + m.Unit
	switch {
	case m.Limit == 0:
	case f.Status == check.Warning:
		text += ";" + number(m.Limit)
	default:
		text += ";;" + number(m.Limit)
	}
	return text
}
