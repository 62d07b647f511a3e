package schema

import (
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// walker runs a program's machine over one body, in one pass: it reads the JSON as strictly as parser does, judges it,
// and writes what is left of it. It only ever says yes. Whatever it does not say yes to, a body that fails or one that it
// cannot judge, is the index's to judge and to explain.
type walker struct {
	b      []byte
	m      *machine
	depth  int
	max    int  // depth
	values int  // that may still come
	work   int  // that may still be spent on reading values again
	lost   bool // only the index can tell
	misses uint // guesses of names that were wrong

	writing bool
	out     []byte
	from    int // of the body: what stands before is written, or left out

	viewer       Viewer  // nil: no field rule is asked
	may          []uint8 // what the viewer may, by number of permission: unasked, granted or denied
	owns         uint8
	maskKey      []byte
	dropped, hid int
	way          []uint32 // the names of the members that lead to a value, by depth
	noted        [maxFields]uint64
	fields       int      // that are noted
	notes        []uint32 // the ways noted, the length of each before it

	seen    []uint64 // a stack of masks, of objects with more than 64 members
	spelled []byte   // a stack of strings unescaped
	known   nameSets
	scratch []byte
}

const (
	unasked = iota
	granted
	denied
)

var walkers = sync.Pool{New: func() any { return new(walker) }}

// keptBytes bounds what a walker keeps of each list between two uses.
const keptBytes = 4 << 10

// workPerByte is how often, about, a body may be read again for the sake of alternatives.
const workPerByte = 32

// run judges a body by the machine, and appends to dst what is left of it where it is to be written. Without a yes what it
// returns means nothing.
func (p *Program) run(dst, body []byte, v Viewer, writing bool) (out []byte, did Projection, yes bool) {
	w, n := p.walk(dst, body, v, writing)
	if w == nil {
		return dst, Projection{}, false
	}
	if yes = w.body(n); yes && writing {
		out, did = w.out, Projection{w.dropped, w.hid, w.named(&p.fieldLists)}
	}
	w.release()
	return out, did, yes
}

// walk prepares a walker, which is to be released, and tells where it begins. It is nil where only the index can judge.
func (p *Program) walk(dst, body []byte, v Viewer, writing bool) (*walker, *station) {
	if p.start == nil || len(body) > math.MaxInt32 {
		return nil, nil
	}
	n := p.start.of(p.machine)
	if n == nil {
		return nil, nil
	}
	w := walkers.Get().(*walker)
	w.b, w.m, w.max, w.values, w.work = body, p.machine, p.options.MaxDepth, min(p.options.MaxValues, maxNodes/2), workPerByte*len(body)+1<<16
	w.writing, w.out, w.viewer, w.maskKey = writing, dst, v, p.maskKey
	if len(w.way) < w.max+1 {
		w.way = make([]uint32, w.max+1)
	}
	return w, n
}

// release gives back a walker. Nothing of a body stays in it.
func (w *walker) release() {
	w.b, w.m, w.out, w.viewer, w.maskKey = nil, nil, nil, nil, nil
	w.depth, w.lost, w.dropped, w.hid, w.fields, w.owns = 0, false, 0, 0, 0, unasked
	w.may, w.notes, w.seen = emptied(w.may), w.notes[:0], w.seen[:0]
	w.spelled, w.scratch = emptiedBytes(w.spelled), emptiedBytes(w.scratch)
	w.known = w.known.emptied()
	walkers.Put(w)
}

func emptiedBytes(b []byte) []byte {
	if cap(b) > keptBytes {
		return nil
	}
	clear(b[:cap(b)])
	return b[:0]
}

// give leaves the body to the index.
func (w *walker) give() bool {
	w.lost = true
	return false
}

func (w *walker) space(i int) int {
	for i < len(w.b) {
		if c := w.b[i]; c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			break
		}
		i++
	}
	return i
}

// body takes the whole body.
func (w *walker) body(n *station) (ok bool) {
	i := w.space(0)
	w.from = i
	if n.special {
		if n, ok = w.enter(n, i); !ok {
			return false
		}
	}
	is, as, end := kept, unmasked, 0
	if n.marked {
		is, as = w.fate(n)
	}
	if is == kept {
		end, ok = w.value(n, i, true)
	} else {
		w.note(is)
		if is == withheld {
			is = nulled
		}
		end, ok = w.replace(n, i, is, as)
	}
	if !ok || w.lost || w.space(end) != len(w.b) {
		return false
	}
	if w.writing {
		w.out = append(w.out, w.b[w.from:end]...)
	}
	return true
}

// enter finds the station of a value of which something must be known first.
func (w *walker) enter(n *station, i int) (*station, bool) {
	if i >= len(w.b) {
		return nil, false
	}
	if n.null != nil && w.b[i] == 'n' {
		if n = n.null.of(w.m); n == nil {
			return nil, w.give()
		}
	}
	for n.ask != nil && !n.beyond {
		answer, ok := w.answer(n.ask, i)
		if !ok {
			return nil, false
		}
		e := n.ask.edges.get(answer)
		if e == nil {
			if e = w.m.byAnswer(n, answer); e == nil {
				return nil, w.give()
			}
		}
		n = e.to
	}
	if n.beyond {
		return nil, w.give()
	}
	return n, true
}

// answer finds which alternatives a value follows: as it stands, or else those it follows without the members they
// forbid, where these leave.
func (w *walker) answer(c *choice, i int) (uint64, bool) {
	kind := kinds[w.b[i]]
	if c.kind == ifThen {
		if n := c.alternatives[0].strict.of(w.m); n == nil {
			return 0, w.give()
		} else if n.maybe(kind) && w.check(n, i) {
			return 1, true
		}
		return 0, true
	}
	only, n := 0, 0
	for k := range c.alternatives {
		a := c.alternatives[k].strict.of(w.m)
		if a == nil {
			return 0, w.give()
		}
		if a.maybe(kind) {
			only = k
			n++
		}
	}
	switch {
	case n == 0:
		return 0, false
	case n == 1 && (!c.lenient || c.alternatives[only].safe): // whether it follows this one will be seen
		return c.found(only, c.lenient), true
	}
	for _, lenient := range [...]bool{false, true} {
		if lenient && !c.lenient {
			break
		}
		matching, mask := 0, uint64(0)
		for k := range c.alternatives {
			t := c.alternatives[k].strict
			if lenient {
				t = c.alternatives[k].lenient
			}
			a := t.of(w.m)
			if a == nil {
				return 0, w.give()
			}
			if !a.maybe(kind) || !w.check(a, i) {
				continue
			}
			matching++
			if found := c.found(k, lenient); c.kind == anyOf {
				mask |= found
			} else {
				mask = found
			}
		}
		if matching > 0 {
			return mask, c.kind == anyOf || matching == 1
		}
	}
	return 0, false
}

// found is the answer that alternative k holds.
func (c *choice) found(k int, leniently bool) uint64 {
	answer := uint64(k) << 1
	if c.kind == anyOf {
		answer = 2 << k
	}
	if leniently {
		answer |= 1
	}
	return answer
}

// maybe reports whether any value of a kind could follow.
func (n *station) maybe(k Kind) bool { return n.kinds.has(k) || n.null != nil && k == Null }

// check judges a value without taking it.
func (w *walker) check(n *station, i int) bool {
	depth, values, seen, spelled, known := w.depth, w.values, len(w.seen), len(w.spelled), w.known.mark()
	ok := true
	if n.special {
		n, ok = w.enter(n, i)
	}
	if ok {
		_, ok = w.value(n, i, false)
	}
	w.work -= workPerValue * (values - w.values)
	if w.work < 0 {
		ok = w.give()
	}
	w.depth, w.values, w.seen, w.spelled = depth, values, w.seen[:seen], w.spelled[:spelled]
	w.known.reset(known)
	return ok
}

// What reading again costs: so many bytes for each value; long texts count by themselves.
const (
	workPerValue = 16
	countedText  = 64
)

// value takes a value whose station is known. seen tells that what is in it is seen by the viewer, and leaves or stays; else
// it is only judged.
func (w *walker) value(n *station, i int, seen bool) (end int, ok bool) {
	b := w.b
	if i >= len(b) {
		return 0, false
	}
	if w.values--; w.values < 0 {
		return 0, w.give()
	}
	if n.nots != nil && !w.isNone(n, i) {
		return 0, false
	}
	switch c := b[i]; {
	case c == '"':
		if !n.kinds.has(String) {
			return 0, false
		}
		var how spelling
		if end, how = w.text(i); end == 0 {
			return 0, false
		}
		if n.text != nil || n.literals != nil {
			ok := w.judgeText(n, i, end, how)
			return end, ok
		}
		return end, true
	case c == '{':
		if !n.kinds.has(Object) {
			return 0, false
		}
		end, ok = w.object(n, i, seen)
		return end, ok && (n.literals == nil || w.isLiteral(n))
	case c == '[':
		if !n.kinds.has(Array) {
			return 0, false
		}
		end, ok = w.array(n, i, seen)
		return end, ok && (n.literals == nil || w.isLiteral(n))
	case c == '-' || c-'0' < 10:
		if !n.kinds.has(Number) {
			return 0, false
		}
		return w.number(n, i)
	case c == 't' && len(b)-i >= 4 && string(b[i:i+4]) == "true":
		if end = i + 4; n.kinds.has(Boolean) {
			for _, l := range n.literals {
				if !l.yes {
					return 0, false
				}
			}
			return end, true
		}
	case c == 'f' && len(b)-i >= 5 && string(b[i:i+5]) == "false":
		if end = i + 5; n.kinds.has(Boolean) {
			for _, l := range n.literals {
				if !l.no {
					return 0, false
				}
			}
			return end, true
		}
	case c == 'n' && len(b)-i >= 4 && string(b[i:i+4]) == "null":
		if end = i + 4; n.kinds.has(Null) {
			for _, l := range n.literals {
				if !l.null {
					return 0, false
				}
			}
			return end, true
		}
	}
	return 0, false
}

// isNone judges a value by what it must not be.
func (w *walker) isNone(n *station, i int) bool {
	for _, t := range n.nots {
		if not := t.of(w.m); not == nil || w.check(not, i) {
			return not == nil && w.give()
		}
	}
	return true
}

// judgeText judges a string that was read.
func (w *walker) judgeText(n *station, i, end int, is spelling) (ok bool) {
	s, at := w.b[i+1:end-1], len(w.spelled)
	if is.escaped {
		s = w.unescaped(s)
	}
	for _, l := range n.literals {
		if !l.hasText(s) {
			return false
		}
	}
	ok = true
	if n.text != nil {
		var ask bool
		if ok, ask = n.text.admits(s, !is.wide && !is.escaped); ask {
			return w.give()
		}
	}
	w.spelled = w.spelled[:at]
	return ok
}

// guesser remembers which member comes next.
type guesser = atomic.Uint32

// object takes an object.
func (w *walker) object(n *station, i int, seen bool) (end int, ok bool) {
	b, o := w.b, n.object
	if w.depth++; w.depth > w.max {
		return 0, false
	}
	if i = w.space(i + 1); i >= len(b) {
		return 0, false
	}
	var (
		have, count, stay = uint64(0), 0, 0
		base, names       = len(w.seen), nameSet{base: len(w.known.few)}
		last              = i // behind the value before
		guess             = &o.first
	)
	if len(o.members) > 64 {
		for range (len(o.members) - 1) >> 6 {
			w.seen = append(w.seen, 0)
		}
	}
	for closed := b[i] == '}'; !closed; {
		start, index := i, int(guess.Load())-1
		if index >= 0 {
			if name := &o.members[index].spelled; name.stands(b, i) {
				i += name.length
			} else {
				index = -1
			}
		}
		if index < 0 {
			if index, i = w.name(o, &names, i); i == 0 {
				return 0, false
			}
			if index >= 0 {
				if w.misses++; w.misses&15 == 0 || guess.Load() == 0 {
					guess.Store(uint32(index) + 1)
				}
			}
		}
		if i < len(b) && b[i] != ':' {
			i = w.space(i)
		}
		if i >= len(b) || b[i] != ':' {
			return 0, false
		}
		if i++; i < len(b) && b[i] <= ' ' {
			i = w.space(i)
		}
		var child *station
		becomes, field := o.other, uint32(anyName)
		switch {
		case index >= 0:
			k := &o.members[index]
			if index < 64 {
				if have>>index&1 != 0 {
					return 0, false
				}
				have |= 1 << index
			} else {
				word := &w.seen[base+index>>6-1]
				if *word>>(index&63)&1 != 0 {
					return 0, false
				}
				*word |= 1 << (index & 63)
			}
			if child = k.target.node.Load(); child == nil {
				child = k.target.of(w.m)
			}
			becomes, field, guess = k.how, k.id, &k.next
		case o.odd && len(o.patterns) > 0:
			e := w.byPatterns(n, start)
			if e == nil {
				return 0, w.give()
			}
			child, becomes = e.to, e.how
		default:
			if child = o.rest.node.Load(); child == nil {
				child = o.rest.of(w.m)
			}
		}
		if child == nil {
			return 0, w.give()
		}
		if o.odd && !w.isName(o, start) {
			return 0, false
		}
		if count++; o.most >= 0 && count > o.most {
			return 0, false
		}
		if child.special {
			if child, ok = w.enter(child, i); !ok {
				return 0, false
			}
		}
		switch {
		case seen && becomes == stays && !child.marked:
			w.way[w.depth-1] = field
			if i, ok = w.value(child, i, true); !ok {
				return 0, false
			}
			stay++
		case !seen || becomes == ignored:
			if i, ok = w.value(child, i, false); !ok {
				return 0, false
			}
			stay++
		case becomes == refused:
			return 0, false
		default:
			w.way[w.depth-1] = field
			is, as := kept, unmasked
			if becomes == dropped {
				is = withheld
			} else if child.marked {
				if child.readOnly {
					return 0, false
				}
				is, as = w.fate(child)
			}
			switch is {
			case kept:
				i, ok = w.value(child, i, true)
				stay++
			case masked:
				w.note(masked)
				i, ok = w.replace(child, i, masked, as)
				stay++
			default:
				w.note(withheld)
				i, ok = w.value(child, i, false)
				w.leave(start, last, i, stay)
			}
			if !ok {
				return 0, false
			}
		}
		last = i
		if i < len(b) && b[i] <= ' ' {
			i = w.space(i)
		}
		if i >= len(b) {
			return 0, false
		}
		switch b[i] {
		case '}':
			closed = true
		case ',':
			if i++; i < len(b) && b[i] <= ' ' {
				i = w.space(i)
			}
			if stay == 0 && seen && w.writing {
				w.from = i // all before it left, and so does the comma
			}
		default:
			return 0, false
		}
	}
	if count < o.least || len(o.required) > 0 && o.required[0]&^have != 0 {
		return 0, false
	}
	if (len(o.required) > 1 || o.dependent != nil) && !w.complete(o, have, base) {
		return 0, false
	}
	if len(o.members) > 64 {
		w.seen = w.seen[:base]
	}
	if names.n > 0 {
		w.known.drop(&names)
	}
	w.depth--
	return i + 1, true
}

// isName judges a member's name.
func (w *walker) isName(o *objectStation, i int) bool {
	for _, t := range o.names {
		if of := t.of(w.m); of == nil || !w.check(of, i) {
			return of == nil && w.give()
		}
	}
	return true
}

// leave leaves out the member or item that stands from start to end, with the comma before it where others stay before.
func (w *walker) leave(start, last, end, stay int) {
	if !w.writing {
		return
	}
	upTo := start
	if stay > 0 {
		upTo = last
	}
	if upTo > w.from {
		w.out = append(w.out, w.b[w.from:upTo]...)
	}
	w.from = end
}

// complete reports whether an object has what is required.
func (w *walker) complete(o *objectStation, have uint64, base int) bool {
	lacks := func(mask []uint64) bool {
		for k, word := range mask {
			if k == 0 && word&^have != 0 || k > 0 && word&^w.seen[base+k-1] != 0 {
				return true
			}
		}
		return false
	}
	if lacks(o.required) {
		return false
	}
	for _, d := range o.dependent {
		stands := have >> (d.member & 63)
		if d.member >= 64 {
			stands = w.seen[base+d.member>>6-1] >> (d.member & 63)
		}
		if stands&1 != 0 && lacks(d.required) {
			return false
		}
	}
	return true
}

// byPatterns finds the edge of a member by its name.
func (w *walker) byPatterns(n *station, start int) *edge {
	end, is := w.text(start)
	name, at := w.b[start+1:end-1], len(w.spelled)
	if is.escaped {
		name = w.unescaped(name)
	}
	mask := uint64(0)
	for k := range n.object.patterns {
		matches, ask := n.object.patterns[k].match(name)
		if ask {
			return nil
		}
		if matches {
			mask |= 1 << k
		}
	}
	w.spelled = w.spelled[:at]
	if e := n.object.others.get(mask); e != nil {
		return e
	}
	return w.m.byPatterns(n, mask)
}

// array takes an array.
func (w *walker) array(n *station, i int, seen bool) (end int, ok bool) {
	b, a := w.b, n.array
	if w.depth++; w.depth > w.max {
		return 0, false
	}
	open := i
	if i = w.space(i + 1); i >= len(b) {
		return 0, false
	}
	var (
		count, stay = 0, 0
		last        = i
		items       = nameSet{base: len(w.known.few), items: true}
		such        [maxContains]int
		unlike      = true // of items compared by their bytes
	)
	for closed := b[i] == ']'; !closed; {
		var child *station
		if count >= a.prefix && len(a.contains) == 0 {
			if child = a.each.node.Load(); child == nil {
				child = a.each.of(w.m)
			}
		} else if child, ok = w.byPlace(n, min(count, a.prefix), i, &such); !ok {
			return 0, false
		}
		if child == nil {
			return 0, w.give()
		}
		if child.special {
			if child, ok = w.enter(child, i); !ok {
				return 0, false
			}
		}
		start, is, as := i, kept, unmasked
		if seen {
			w.way[w.depth-1] = anyName
			if child.marked {
				if child.readOnly {
					return 0, false
				}
				is, as = w.fate(child)
			}
		}
		switch {
		case is == kept:
			i, ok = w.value(child, i, seen)
			stay++
		case is == masked:
			w.note(masked)
			i, ok = w.replace(child, i, masked, as)
			stay++
		case count < a.prefix:
			w.note(withheld)
			i, ok = w.replace(child, i, nulled, as)
			stay++
		default:
			w.note(withheld)
			i, ok = w.value(child, i, false)
			w.leave(start, last, i, stay)
		}
		if !ok {
			return 0, false
		}
		if count++; a.most >= 0 && count > a.most {
			return 0, false
		}
		if a.unique && unlike {
			if unlike = w.isPlain(start, i); unlike && !w.isNew(&items, start, b[start:i], false) {
				return 0, false
			}
		}
		last = i
		if i < len(b) && b[i] <= ' ' {
			i = w.space(i)
		}
		if i >= len(b) {
			return 0, false
		}
		switch b[i] {
		case ']':
			closed = true
		case ',':
			if i++; i < len(b) && b[i] <= ' ' {
				i = w.space(i)
			}
			if stay == 0 && seen && w.writing {
				w.from = i
			}
		default:
			return 0, false
		}
	}
	if count < a.least || !unlike && w.repeats(open, i+1) {
		return 0, false
	}
	for k, c := range a.contains {
		if such[k] < c.least || c.most >= 0 && such[k] > c.most {
			return 0, false
		}
	}
	w.known.drop(&items)
	w.depth--
	return i + 1, true
}

// byPlace finds the station of an item that has a place of its own, or that contains is asked of.
func (w *walker) byPlace(n *station, place, i int, such *[maxContains]int) (*station, bool) {
	mask := uint64(0)
	for k := range n.array.contains {
		of := n.array.contains[k].target.of(w.m)
		if of == nil {
			return nil, w.give()
		}
		if w.check(of, i) {
			mask |= 1 << k
			such[k]++
		}
	}
	e := n.array.items.get(uint64(place)<<32 | mask)
	if e == nil {
		if e = w.m.byPlace(n, place, mask); e == nil {
			return nil, w.give()
		}
	}
	return e.to, !w.lost
}

// fate asks what becomes of a value, by each rule of it; the strictest wins.
func (w *walker) fate(n *station) (is fate, as mask) {
	if n.withheld {
		return withheld, unmasked
	}
	if w.viewer == nil {
		return kept, unmasked
	}
	for k := range n.rules {
		r := &n.rules[k]
		switch fate, mask := r.fate(w.mayDo(r.permission, r.rule.permission), r.ownerMay && w.owner(), w.mayDo(r.unmask, r.rule.unmask)); {
		case fate == withheld:
			return withheld, unmasked
		case mask != unmasked:
			if is == masked && as != mask {
				mask = maskFull // two masks together would show what each hides
			}
			is, as = masked, mask
		}
	}
	return is, as
}

// mayDo asks the viewer once for each permission of a body.
func (w *walker) mayDo(number int, permission string) bool {
	if number < 0 {
		return false
	}
	for len(w.may) <= number {
		w.may = append(w.may, unasked)
	}
	if w.may[number] == unasked {
		w.may[number] = denied
		if w.viewer.May(permission) {
			w.may[number] = granted
		}
	}
	return w.may[number] == granted
}

func (w *walker) owner() bool {
	if w.owns == unasked {
		w.owns = denied
		if w.viewer.Owns() {
			w.owns = granted
		}
	}
	return w.owns == granted
}

// replace takes a value that leaves, and writes what stands in its place.
func (w *walker) replace(n *station, i int, is fate, as mask) (end int, ok bool) {
	if end, ok = w.value(n, i, false); !ok || !w.writing {
		return end, ok
	}
	w.out = append(w.out, w.b[w.from:i]...)
	if w.from = end; is == nulled {
		w.out = append(w.out, "null"...)
		return end, true
	}
	text, kind, at := w.b[i:end], kinds[w.b[i]], len(w.spelled)
	if kind == String {
		text = w.unescaped(text[1 : len(text)-1])
	}
	w.out = appendMasked(w.out, as, kind, string(text), w.maskKey)
	w.spelled = w.spelled[:at]
	return end, true
}

// note counts what leaves, at the place where the way leads.
func (w *walker) note(is fate) {
	if !w.writing {
		return
	}
	if is == masked {
		w.hid++
	} else {
		w.dropped++
	}
	if w.fields == maxFields {
		return
	}
	way := w.way[:w.depth]
	h := hashWay(uint64(w.depth), way)
	for _, known := range w.noted[:w.fields] {
		if known == h {
			return
		}
	}
	w.noted[w.fields] = h
	w.fields++
	w.notes = append(append(w.notes, uint32(len(way))), way...)
}

// hashWay is of a way, or of the ways noted: equal for equal ones, and for no others that anybody will meet.
func hashWay[T uint32 | uint64](h uint64, way []T) uint64 {
	for _, id := range way {
		high, low := bits.Mul64(h^key, uint64(id)^key2)
		h = high ^ low
	}
	return h
}

// named are the places noted.
func (w *walker) named(l *fieldLists) []string {
	if w.fields == 0 {
		return nil
	}
	return l.of(hashWay(uint64(w.fields), w.noted[:w.fields]), func() (list []string) {
		for notes := w.notes; len(notes) > 0; notes = notes[1+notes[0]:] {
			if field := w.m.pointer(notes[1 : 1+notes[0]]); !slices.Contains(list, field) {
				list = append(list, field)
			}
		}
		return list
	})
}
