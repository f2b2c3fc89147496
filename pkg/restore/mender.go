package restore

// mender is what a worker needs to compare pages: 2 MiB.
type mender struct {
	local   []byte // what the file holds, laid out like the frame
	frame   []byte
	differs []bool // for each page of the frame
	any     bool
}

// reset makes room for a frame of so many pages and bytes.
func (m *mender) reset(pages, size int) {
	if cap(m.local) < size {
		m.local = make([]byte, size)
	}
	m.local = m.local[:size]
	if cap(m.differs) < pages {
		m.differs = make([]bool, pages)
	}
	m.differs = m.differs[:pages]
	clear(m.differs)
	m.any = false
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
