package session

import (
	"fmt"
	"regexp"
	"strings"
)

// Command is one command of a session and what it prints.
type Command struct {
	Line   int    // of its prompt in the document, from 1 on
	Root   bool   // the prompt was #
	Text   string // without prompts; several lines where it was continued
	Output string // lines, each with its end
	// FirstOut and EndOut are where the output stands in the document: lines [FirstOut, EndOut), from 1 on.
	FirstOut, EndOut int
}

// Parse gives the commands of all sessions of a document, in their order.
func Parse(document string) ([]Command, error) {
	var commands []Command
	inside, shell := false, false
	for i, line := range strings.Split(document, "\n") {
		n := i + 1
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside
			shell = inside && line == "```console"
		case !shell:
		case strings.HasPrefix(line, "$ "), strings.HasPrefix(line, "# "):
			commands = append(commands, Command{
				Line: n, Root: line[0] == '#', Text: line[2:], FirstOut: n + 1, EndOut: n + 1,
			})
		case len(commands) == 0 || commands[len(commands)-1].EndOut != n:
			return nil, fmt.Errorf("line %d: output of no command", n)
		default:
			c := &commands[len(commands)-1]
			if text, ok := strings.CutPrefix(line, "> "); ok && c.Output == "" {
				c.Text += "\n" + text
				c.FirstOut++
			} else {
				c.Output += line + "\n"
			}
			c.EndOut++
		}
	}
	if inside {
		return nil, fmt.Errorf("the last block does not end")
	}
	return commands, nil
}

// Before gives the document whose end is where this one's sessions begin, which a comment names:
// <!-- begins where runbooks/README.md ends -->; "" where none does.
func Before(document string) string {
	m := regexp.MustCompile(`<!-- begins where (\S+) ends -->`).FindStringSubmatch(document)
	if m == nil {
		return ""
	}
	return m[1]
}
