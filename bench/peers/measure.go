package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// side is one contestant of a case.
type side struct {
	name   string
	args   []string
	before func(context.Context) error                  // what is not measured
	after  func(context.Context, *sample, string) error // may look at what was printed, and removes it
}

// alternate runs each side of a case once in every run, each time in another order.
func (b *bench) alternate(ctx context.Context, name string, runs int, sides []side) error {
	for run := range runs {
		for i := range sides {
			if err := b.once(ctx, name, run, sides[(run+i)%len(sides)]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) once(ctx context.Context, name string, run int, s side) error {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return err
		}
	}
	if err := b.sync(ctx); err != nil {
		return err
	}
	r, out, err := b.measure(b.command(ctx, s.args...))
	if err != nil {
		return err
	}
	r.Stage, r.Data, r.Case, r.Side, r.Run = b.stage, b.data, name, s.name, run
	if s.after != nil {
		if err := s.after(ctx, &r, out); err != nil {
			return err
		}
	}
	return b.results.add(r)
}

// measure runs one program. What its children and the server's backends did counts once they have been waited for, so
// the counters of this process and of the postmaster have it.
func (b *bench) measure(cmd *exec.Cmd) (r sample, out string, err error) {
	before, err := b.counters()
	if err != nil {
		return r, "", err
	}
	out, err = finish(cmd, func(cmd *exec.Cmd) error {
		begin := time.Now()
		err := cmd.Run()
		r.Wall = time.Since(begin).Seconds()
		return err
	})
	if err != nil {
		return r, "", err
	}
	after, err := b.counters()
	if err != nil {
		return r, "", err
	}
	r.CPU = after.cpu - before.cpu
	r.Read = after.read - before.read
	r.Written = after.written - before.written
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.Memory = usage.Maxrss << 10
	}
	return r, out, nil
}

type counters struct {
	cpu           float64 // seconds
	read, written int64   // bytes
}

func (b *bench) counters() (c counters, err error) {
	if c.cpu, err = machine(); err != nil {
		return c, err
	}
	for _, pid := range []string{"self", strconv.Itoa(b.pid)} {
		data, err := os.ReadFile("/proc/" + pid + "/io")
		if err != nil {
			return c, err
		}
		for line := range strings.Lines(string(data)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			n, _ := strconv.ParseInt(value, 10, 64)
			switch key {
			case "rchar":
				c.read += n
			case "wchar":
				c.written += n
			}
		}
	}
	return c, nil
}

// machine is the processor time that all processes have used, in seconds.
func machine() (float64, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data))
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat: %.40q", data)
	}
	const ticks = 100 // in a second, on every architecture of Linux that counts
	sum := 0.0
	for i, f := range fields[1:8] {
		if i == 3 || i == 4 { // idle, and waiting for a disk
			continue
		}
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, err
		}
		sum += n / ticks
	}
	return sum, nil
}
