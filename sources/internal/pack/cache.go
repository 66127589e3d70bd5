package pack

import (
	"container/list"
	"sync"
)

// cache holds whole objects by where they lie, the least recently used ones go
// first. Objects in it are shared and not to be written to.
type cache struct {
	mu    sync.Mutex
	limit int64
	size  int64
	at    map[place]*list.Element
	order list.List // of *cached, most recently used first
}

// place is where an entry lies.
type place struct {
	p   *packFile
	off int64
}

type cached struct {
	place
	kind Kind
	data []byte
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, at: map[place]*list.Element{}}
}

func (c *cache) get(p place) (Kind, []byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.at[p]
	if e == nil {
		return 0, nil, false
	}
	c.order.MoveToFront(e)
	v := e.Value.(*cached)
	return v.kind, v.data, true
}

func (c *cache) put(p place, k Kind, data []byte) {
	// One object may take an eighth: more would push out what is of use.
	if int64(cap(data)) > c.limit/8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at[p] != nil {
		return
	}
	c.at[p] = c.order.PushFront(&cached{p, k, data})
	c.size += int64(cap(data))
	for c.size > c.limit {
		e := c.order.Back()
		v := c.order.Remove(e).(*cached)
		delete(c.at, v.place)
		c.size -= int64(cap(v.data))
	}
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.at)
	c.order.Init()
	c.size = 0
}
