package main

import (
	"fmt"
	"strings"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// configurationRows say what becomes, or became, of configuration outside the data directory.
func configurationRows(c *restore.Configuration) []string {
	if c == nil {
		return nil
	}
	if c.Directory == "" {
		const text = "  configuration\t%d files outside the data directory, not restored; --config-to DIR does"
		return []string{fmt.Sprintf(text, len(c.Files))}
	}
	var rows []string
	for _, f := range c.Files {
		if f.RestoredTo != "" {
			rows = append(rows, "  configuration\t"+f.RestoredTo)
		}
	}
	return rows
}

// configurationTexts list configuration outside the data directory for show.
func configurationTexts(m *repo.Manifest) (texts []string) {
	for _, f := range m.Configuration {
		text := f.Path + ", " + f.Setting
		if f.Included {
			text = f.Path + ", included by " + f.Setting
		}
		if f.Missing != "" {
			text += ", not in the backup: " + f.Missing
		} else {
			text += ", " + human.Bytes(f.Size)
		}
		texts = append(texts, text)
	}
	return texts
}

// printStart says how a server finds configuration that was restored to another place than it had.
func (p *program) printStart(r *restore.Result) error {
	c := r.Configuration
	if c == nil || c.Directory == "" {
		return nil
	}
	moved := false
	args := []string{"postgres", "-D", shellQuote(r.Target)}
	own := false // config_file
	for _, f := range c.Files {
		if f.RestoredTo == "" || f.Included {
			continue
		}
		own = own || f.Setting == "config_file"
		moved = moved || f.RestoredTo != f.Path
		args = append(args, "-c", shellQuote(f.Setting+"="+f.RestoredTo))
	}
	if own && r.Target != c.DataDirectory { // it may name the old one, and then wins over -D
		moved = true
		args = append(args, "-c", shellQuote("data_directory="+r.Target))
	}
	if !moved {
		return nil
	}
	return p.printf("To start with this configuration, or put these settings into it:\n  %s\n", strings.Join(args, " "))
}
