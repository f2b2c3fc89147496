package restore

// mender is what a worker needs besides a canvas: 2 MiB.
type mender struct {
	local   []byte // what a file holds
	frame   []byte
	differs []bool // for each block of a part
}

// grow makes room for what a file holds.
func (m *mender) grow(size int) {
	if cap(m.local) < size {
		m.local = make([]byte, size)
	}
	m.local = m.local[:size]
}

// reset makes room for a part of so many blocks, none of which differs.
func (m *mender) reset(blocks int) {
	if cap(m.differs) < blocks {
		m.differs = make([]bool, blocks)
	}
	m.differs = m.differs[:blocks]
	clear(m.differs)
}

// menders lends one mender to each worker.
type menders chan *mender

func newMenders(jobs int) menders {
	m := make(menders, jobs)
	for range jobs {
		m <- new(mender)
	}
	return m
}

func (m menders) get() *mender  { return <-m }
func (m menders) put(r *mender) { m <- r }
