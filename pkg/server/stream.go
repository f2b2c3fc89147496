package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Message is one piece of a stream of WAL.
type Message struct {
	At    pg.LSN // position of Data's first byte
	Data  []byte // WAL, valid until the next Receive; empty in a keepalive
	Reply bool   // the server asks for a Confirm at once
	Ended bool   // the timeline ended: EndStream tells the next one
}

// ErrNoMessage: none came in the time that Receive had.
var ErrNoMessage = errors.New("no message in time")

// codes of what a server says when it cannot stream.
const (
	codeUndefinedFile   = "58P01" // the segment has been removed
	codeObjectInUse     = "55006"
	codeUndefinedObject = "42704"
)

// NextTimeline is the one that follows where a timeline ends. Timeline 0: there is none.
type NextTimeline struct {
	Timeline pg.TimelineID
	Begin    pg.LSN
}

// StartStream begins to stream a timeline from a position on, through a slot unless its name is empty. Where the
// timeline ends at this very position nothing is streamed, and the next one is told.
func (r *Replication) StartStream(
	ctx context.Context, slot string, tli pg.TimelineID, at pg.LSN,
) (next NextTimeline, err error) {
	r.timeline, r.from = tli, at
	sql := "START_REPLICATION "
	if slot != "" {
		sql += "SLOT " + pgx.Identifier{slot}.Sanitize() + " "
	}
	sql += fmt.Sprintf("PHYSICAL %s TIMELINE %d", at, tli)
	r.conn.Frontend().SendQuery(&pgproto3.Query{String: sql})
	if err := r.conn.Frontend().Flush(); err != nil {
		return next, r.commandError(ctx, "START_REPLICATION", err)
	}
	var refused *pgconn.PgError
	for {
		msg, err := r.conn.ReceiveMessage(ctx)
		if err != nil {
			return next, r.commandError(ctx, "START_REPLICATION", err)
		}
		switch msg := msg.(type) {
		case *pgproto3.CopyBothResponse:
			return next, nil
		case *pgproto3.DataRow:
			if next, err = r.parseNext(msg); err != nil {
				return next, err
			}
		case *pgproto3.ErrorResponse:
			refused = pgconn.ErrorResponseToPgError(msg)
		case *pgproto3.ReadyForQuery:
			switch {
			case refused != nil:
				return NextTimeline{}, r.startError(slot, tli, at, refused)
			case next.Timeline == 0:
				return next, fmt.Errorf("server %s: START_REPLICATION: unexpected answer", r.label)
			}
			return next, nil
		}
	}
}

func (r *Replication) startError(slot string, tli pg.TimelineID, at pg.LSN, e *pgconn.PgError) error {
	switch e.Code {
	case codeObjectInUse:
		return &SlotError{Server: r.label, Slot: slot}
	case codeUndefinedObject:
		return &SlotError{Server: r.label, Slot: slot, Missing: true}
	}
	q := &QueryError{Doing: "START_REPLICATION", Code: e.Code, Message: e.Message, Detail: e.Detail, Hint: e.Hint}
	return &StartError{Server: r.label, Timeline: tli, At: at, Removed: e.Code == codeUndefinedFile, Err: q}
}

// Receive gives the next message of the stream, or ErrNoMessage when none comes within wait.
func (r *Replication) Receive(ctx context.Context, wait time.Duration) (Message, error) {
	limited, cancel := context.WithTimeout(ctx, max(wait, time.Millisecond))
	defer cancel()
	msg, err := r.conn.ReceiveMessage(limited)
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return Message{}, fmt.Errorf("server %s: %w", r.label, context.Cause(ctx))
		case limited.Err() != nil && !r.conn.IsClosed():
			return Message{}, ErrNoMessage
		}
		return Message{}, r.commandError(ctx, "stream of WAL", err)
	}
	switch msg := msg.(type) {
	case *pgproto3.CopyData:
		return r.parseCopy(msg.Data)
	case *pgproto3.CopyDone:
		return Message{Ended: true}, nil
	case *pgproto3.ErrorResponse:
		if msg.Code == codeUndefinedFile { // found out only when the segment is to be read
			return Message{}, r.startError("", r.timeline, r.from, pgconn.ErrorResponseToPgError(msg))
		}
		return Message{}, fmt.Errorf("server %s: stream of WAL: %w: %s", r.label, ErrSessionLost, msg.Message)
	}
	return Message{}, nil // a notice, a changed parameter
}

// parseCopy takes a message of the streaming protocol apart (protocol.sgml, XLogData and keepalive).
func (r *Replication) parseCopy(b []byte) (Message, error) {
	const dataHeader, keepalive = 1 + 8 + 8 + 8, 1 + 8 + 8 + 1
	switch {
	case len(b) >= dataHeader && b[0] == 'w':
		return Message{At: pg.LSN(binary.BigEndian.Uint64(b[1:])), Data: b[dataHeader:]}, nil
	case len(b) == keepalive && b[0] == 'k':
		return Message{Reply: b[keepalive-1] == 1}, nil
	}
	return Message{}, fmt.Errorf("server %s: stream of WAL: %d bytes that are no message", r.label, len(b))
}

// Confirm tells the server up to where WAL was received and is durable. The slot holds it no longer, and
// commits that wait for this receiver (synchronous_standby_names) are done. Nothing is ever applied here.
func (r *Replication) Confirm(ctx context.Context, received, durable pg.LSN, now time.Time) error {
	const epoch = 946684800 // 2000-01-01 UTC, in seconds of Unix
	b := append(make([]byte, 0, 34), 'r')
	b = binary.BigEndian.AppendUint64(b, uint64(received))
	b = binary.BigEndian.AppendUint64(b, uint64(durable))
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(now.UnixMicro()-epoch*1e6))
	b = append(b, 0)
	r.conn.Frontend().Send(&pgproto3.CopyData{Data: b})
	if err := r.conn.Frontend().Flush(); err != nil {
		return r.commandError(ctx, "stream of WAL", err)
	}
	return nil
}

// EndStream answers the end of a timeline and gives the next one. That there is none is ErrSessionLost: the
// server shuts down.
func (r *Replication) EndStream(ctx context.Context) (next NextTimeline, err error) {
	const doing = "end of timeline"
	r.conn.Frontend().Send(&pgproto3.CopyDone{})
	if err := r.conn.Frontend().Flush(); err != nil {
		return next, r.commandError(ctx, doing, err)
	}
	for {
		msg, err := r.conn.ReceiveMessage(ctx)
		if err != nil {
			return next, r.commandError(ctx, doing, err)
		}
		switch msg := msg.(type) {
		case *pgproto3.DataRow:
			if next, err = r.parseNext(msg); err != nil {
				return next, err
			}
		case *pgproto3.ErrorResponse:
			return next, fmt.Errorf("server %s: %s: %w: %s", r.label, doing, ErrSessionLost, msg.Message)
		case *pgproto3.ReadyForQuery:
			if next.Timeline == 0 {
				return next, fmt.Errorf("server %s: %w: it shuts down", r.label, ErrSessionLost)
			}
			return next, nil
		}
	}
}

// parseNext reads the row that tells which timeline follows.
func (r *Replication) parseNext(row *pgproto3.DataRow) (next NextTimeline, err error) {
	if len(row.Values) < 2 {
		return next, fmt.Errorf("server %s: end of timeline: unexpected answer", r.label)
	}
	tli, err := strconv.ParseUint(string(row.Values[0]), 10, 32)
	if err != nil {
		return next, fmt.Errorf("server %s: end of timeline: %w", r.label, err)
	}
	next.Begin, err = parseLSN("end of timeline", string(row.Values[1]))
	next.Timeline = pg.TimelineID(tli)
	return next, err
}
