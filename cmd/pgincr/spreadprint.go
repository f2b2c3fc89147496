package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
)

// partOutcome is how a command ended in one of several repositories.
type partOutcome struct {
	Repo     string          `json:"repo"`
	ExitCode int             `json:"exit_code"`
	Error    string          `json:"error,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"` // the document that one repository alone would have
}

// printParts prints what --json asks for: lists as one, each entry with its repository, or the document of the first
// repository in which the command was done, with a key that tells of all.
func (p *program) printParts(parts []part) error {
	parts = slices.Clone(parts)
	outcomes := make([]partOutcome, len(parts))
	for i, pt := range parts {
		outcomes[i] = partOutcome{Repo: repoName(pt.repo), ExitCode: exitCode(pt.err, false), Result: pt.document}
		if pt.err != nil {
			outcomes[i].Error = oneLine(pt.err.Error())
		}
	}
	parts = slices.DeleteFunc(parts, func(pt part) bool { return pt.document == nil })
	if len(parts) == 0 {
		return nil
	}
	if parts[0].document[0] == '[' {
		return p.printLists(parts)
	}
	shown := max(0, slices.IndexFunc(parts, func(pt part) bool {
		code := exitCode(pt.err, false)
		return code == exitDone || code == exitFindings
	}))
	document, err := withKey(parts[shown].document, "repositories", outcomes)
	if err != nil {
		return err
	}
	return p.printJSON(document)
}

// printLists prints the entries of all lists.
func (p *program) printLists(parts []part) error {
	all := []json.RawMessage{}
	for _, pt := range parts {
		var entries []json.RawMessage
		if err := json.Unmarshal(pt.document, &entries); err != nil {
			return err
		}
		for _, e := range entries {
			e, err := withKey(e, "repo", repoName(pt.repo))
			if err != nil {
				return err
			}
			all = append(all, e)
		}
	}
	return p.printJSON(all)
}

// withKey adds a key to a JSON object, at its end.
func withKey(object json.RawMessage, key string, value any) (json.RawMessage, error) {
	body, ok := bytes.CutSuffix(bytes.TrimSpace(object), []byte("}"))
	if !ok { // a name, say
		return object, nil
	}
	added, err := marshal(map[string]any{key: value})
	if err != nil {
		return nil, err
	}
	body = bytes.TrimSpace(body)
	if len(body) > 1 {
		body = append(slices.Clone(body), ',')
	}
	return append(body, added[1:]...), nil
}

// headed writes a head before what is written first.
type headed struct {
	w    io.Writer
	head string
}

func (h *headed) Write(b []byte) (int, error) {
	if h.head != "" {
		if _, err := io.WriteString(h.w, h.head); err != nil {
			return 0, err
		}
		h.head = ""
	}
	return h.w.Write(b)
}
