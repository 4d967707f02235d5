#!/usr/bin/env python3
"""How well the matcher (src/match/match.h) tells which cell is which, and how fast.

    NBM_DATA=.../shared/data [NBM_HISTORIES=DIR:DIR] test/accuracy/accuracy.py
        [--wrong] [--seeds N] [--first-seed N] [what ...]

NBM_HISTORIES names more folders of revisions, laid out like the corpus' own
(notebooks_corpus/history: a folder for each notebook, 0001.json, ...).

Tables: real consecutive revisions (ids stripped before matching); synthetic
edit scripts by kind of edit, over real notebooks; workflows; worst cases by
time.  Recall is the part of the true pairs that were found, precision the part
of the found pairs that are true.  A twin is a cell that changed places with an
equal one: only the cells around them could tell them apart, or nothing at all.
The second figures count twins as right.

The matcher is compiled with pgstub.c instead of a server and called by ctypes.
"""
import argparse
import ctypes
import difflib
import glob
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get("NBM_DATA", os.path.join(HERE, "../../../shared/data"))


# ---------------------------------------------------------------- the matcher

# The files of src that make the matcher and nothing else.
ROOMS = ["base/entries", "text/longest_run"] + ["match/" + name for name in (
    "profile", "matcher", "candidates", "match_ids", "match_gaps", "match_neighbours", "match_links",
    "match_anywhere", "match", "descent")]


class Link(ctypes.Structure):
    """NbmMatchLink of src/match/match.h."""
    _fields_ = [("neighbour", ctypes.c_int), ("anchor", ctypes.c_int32), ("label", ctypes.c_uint64)]


class Item(ctypes.Structure):
    """NbmMatchItem of src/match/match.h."""
    _fields_ = [("id", ctypes.c_char_p * 2), ("id_len", ctypes.c_int * 2),
                ("core", ctypes.c_uint64), ("content", ctypes.c_uint64),
                ("type", ctypes.c_uint32), ("text", ctypes.c_char_p),
                ("text_len", ctypes.c_int), ("links", ctypes.POINTER(Link)), ("nlinks", ctypes.c_int)]


class Descent(ctypes.Structure):
    """NbmDescent of src/match/descent.h."""
    _fields_ = [("origin", ctypes.c_int), ("to", ctypes.c_int), ("is_merge", ctypes.c_bool)]


def build():
    """Compile the matcher into a throw-away library and load it."""
    include = subprocess.check_output(["pg_config", "--includedir-server"], text=True).strip()
    target = os.path.join(tempfile.mkdtemp(prefix="nbm_accuracy"), "match.so")
    subprocess.check_call(
        [os.environ.get("CC", "gcc"), "-std=gnu99", "-O2", "-shared", "-fPIC", "-Wl,-Bsymbolic",
         "-I" + include, *("-I" + os.path.join(HERE, "../../src", room) for room in ("base", "text", "match")),
         *(os.path.join(HERE, "../../src", name + ".c") for name in ROOMS),
         os.path.join(HERE, "pgstub.c"), "-o", target])
    lib = ctypes.CDLL(target)
    lib.nbm_similarity.restype = ctypes.c_double
    lib.nbm_find_descents.restype = ctypes.POINTER(Descent)
    return lib


def hash64(*parts):
    """A 64-bit hash of some strings."""
    return int.from_bytes(hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"),
                                          digest_size=8).digest(), "big")


class Cell:
    """One cell; true_id says who it is, the two ids what the document says."""

    def __init__(self, source, type="code", meta="", true_id=None, ids=(None, None), links=()):
        self.source, self.type, self.meta, self.true_id, self.ids = source, type, meta, true_id, ids
        self.links = links          # of an operator: (direction, port, the other's true_id, the other's port)

    def copy(self, **changes):
        new = Cell(self.source, self.type, self.meta, self.true_id, self.ids, self.links)
        new.__dict__.update(changes)
        return new

    def __repr__(self):
        return f"{self.type[0]} {self.true_id} {self.source[:90]!r}"


# What identity.c leaves out of the text of operators.
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def as_items(cells):
    """A C array of the cells."""
    items = (Item * max(1, len(cells)))()
    place = {c.true_id: i for i, c in enumerate(cells)} if any(c.links for c in cells) else {}
    for item, cell in zip(items, cells):
        raw = cell.source.encode("utf-8", "surrogatepass")
        item.text, item.text_len = raw, len(raw)
        item.type = hash64(cell.type) & 0xFFFFFFFF
        item.content = hash64(cell.type, UUID.sub("", cell.source) if cell.links else cell.source)
        if cell.links:
            item.links = (Link * len(cell.links))(*((place.get(other, -1), 0, hash64(way, port, other_port))
                                                    for way, port, other, other_port in cell.links))
            item.nlinks = len(cell.links)
        item.core = hash64(cell.type, cell.source, cell.meta)
        for k in (0, 1):
            if cell.ids[k]:
                raw_id = cell.ids[k].encode()
                item.id[k], item.id_len[k] = raw_id, len(raw_id)
    return items


def match(lib, old, new):
    """For each new cell the index of the old one, or -1."""
    result = (ctypes.c_int * max(1, len(new)))()
    lib.nbm_match(as_items(old), len(old), as_items(new), len(new), None, result)
    found = [i for i in result[:len(new)] if i >= 0]
    assert len(found) == len(set(found)) and all(i < len(old) for i in found), "not one to one"
    return list(result)[:len(new)]


def descents(lib, old, new, result):
    """The descents between two documents matched like that: {(old, new, is it a merge), ...}."""
    count = ctypes.c_int()
    links = (ctypes.c_int * max(1, len(new)))(*result)
    found = lib.nbm_find_descents(as_items(old), len(old), as_items(new), len(new), links, ctypes.byref(count))
    pairs = [(d.origin, d.to, d.is_merge) for d in found[:count.value]] if found else []
    if found:
        lib.pfree(found)
    assert len(set(t for _, t, m in pairs if not m)) == sum(not m for _, _, m in pairs), "two origins"
    assert len(set(f for f, _, m in pairs if m)) == sum(m for _, _, m in pairs), "two destinations"
    return set(pairs)


# ---------------------------------------------------------------- the measure

class Score:
    """Pairs that the truth connects, that the matcher connects, and both."""

    def __init__(self):
        self.true = self.found = self.right = self.edits = self.perfect = 0
        self.twins_missed = self.twins_wrong = 0
        self.born = self.born_found = self.born_right = 0

    def add(self, old, new, result, wrong=None, label=""):
        """Count one matching; append what is wrong with it to wrong, if given."""
        where = {c.true_id: i for i, c in enumerate(old) if c.true_id is not None}
        taker = {f: j for j, f in enumerate(result) if f >= 0}
        owner = {where[c.true_id]: j for j, c in enumerate(new) if c.true_id in where}

        def twin(j, other):
            return other is not None and other != j and (new[j].type, new[j].source) == (new[other].type, new[other].source)

        bad = 0
        for j, cell in enumerate(new):
            truth, found = where.get(cell.true_id, -1), result[j]
            if cell.true_id is None or (found >= 0 and old[found].true_id is None):
                continue                                # nobody knows
            self.true += truth >= 0
            self.found += found >= 0
            self.right += truth >= 0 and truth == found
            if truth != found:
                bad += 1
                self.twins_missed += truth >= 0 and twin(j, taker.get(truth))
                self.twins_wrong += found >= 0 and twin(j, owner.get(found))
                if wrong is not None:
                    wrong.append((label, j, cell, truth, truth >= 0 and old[truth],
                                  found, found >= 0 and old[found]))
        self.edits += 1
        self.perfect += bad == 0

    def add_descents(self, old, new, truth, found, wrong=None, label=""):
        """Count the descents of one edit; truth has pairs of true ids."""
        found = {(old[a].true_id, new[b].true_id, merge) for a, b, merge in found}
        there = {c.true_id for c in old}, {c.true_id for c in new}
        truth = {(a, b, merge) for a, b, merge in truth if a in there[0] and b in there[1]}
        self.born += len(truth)
        self.born_found += len(found)
        self.born_right += len(truth & found)
        if wrong is not None:
            wrong.extend((label, d, d in truth, old, new) for d in sorted(truth ^ found))

    def descents(self):
        """What was counted of descents."""
        return (f"{self.edits:6d} edits {self.born:7d} descents   recall {100 * self.born_right / max(1, self.born):7.3f} %"
                f"   found {self.born_found:5d}   false {self.born_found - self.born_right:4d}"
                f"   in edits {100 * (self.born_found - self.born_right) / max(1, self.edits):6.2f} %")

    def __str__(self):
        def share(a, b):
            return f"{100 * a / max(1, b):7.3f} %"
        return (f"{self.edits:6d} edits {self.true:7d} pairs   recall {share(self.right, self.true)}"
                f"   precision {share(self.right, self.found)}   missed {self.true - self.right:4d}"
                f"   wrong {self.found - self.right:4d}   with twins {share(self.right + self.twins_missed, self.true)}"
                f" {share(self.right + self.twins_wrong, self.found)}"
                f"   faultless {100 * self.perfect / max(1, self.edits):5.1f} %")


# ---------------------------------------------------------------- real revisions

def load(path):
    """The cells of a notebook file of any format, or None if it is broken."""
    try:
        with open(path, encoding="utf-8") as f:
            nb = json.load(f)
    except ValueError:
        return None
    raw = nb.get("cells") or [c for w in nb.get("worksheets", []) for c in w.get("cells", [])]
    cells = []
    for c in raw:
        source = c.get("source", c.get("input", ""))
        meta = {k: v for k, v in c.get("metadata", {}).items() if k != "uuid"}
        cells.append(Cell("".join(source), c.get("cell_type", "code"),
                          json.dumps([meta, c.get("attachments")], sort_keys=True), c.get("id")))
    return cells


def revisions(step):
    """Pairs of readable revisions, step apart: (label, old, new)."""
    roots = [os.path.join(DATA, "notebooks_corpus/history")] + os.environ.get("NBM_HISTORIES", "").split(":")
    for folder in sorted(f for root in roots if root for f in glob.glob(os.path.join(root, "*/"))):
        states = [(os.path.basename(p), load(p)) for p in sorted(glob.glob(folder + "*.json"))]
        states = [(n, c) for n, c in states if c is not None]
        for (_, old), (name, new) in zip(states, states[step:]):
            yield (f"{os.path.basename(folder[:-1])}/{name}", [c.copy() for c in old], [c.copy() for c in new])


def alike(a, b):
    """Are two texts nearly the same?"""
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio() >= 0.9


def forget_reminted(old, new):
    """Takes a deleted and an inserted cell of nearly the same text for one cell
    that a tool gave another id (some editors do with a change of type): the
    ids say nothing of it, so it counts neither way."""
    there = {c.true_id for c in new}
    gone = [c for c in old if c.true_id not in there and c.source.strip()]
    before = {c.true_id for c in old}
    for cell in new:
        if cell.true_id in before or not cell.source.strip():
            continue
        for other in gone:
            if alike(other.source, cell.source):
                gone.remove(other)
                other.true_id = cell.true_id = None
                break


def truth_by_ids(old, new):
    """Do real ids, kept by the tools, tell who is who?  They were regenerated
    if they are missing or repeated anywhere, if less than half of them are on
    both sides, or if cells of equal, unique text mostly have different ones."""
    ids = [{c.true_id for c in side if c.true_id} for side in (old, new)]
    common = len(ids[0] & ids[1])
    unique = all(len(i) == len(side) for i, side in zip(ids, (old, new)))
    if not (unique and common and common >= 0.5 * min(len(old), len(new))):
        return False
    only = [{c.source: c.true_id for c in side if c.source.strip() and sum(d.source == c.source for d in side) == 1}
            for side in (old, new)]
    both = [source for source in only[0] if source in only[1]]
    if sum(only[0][source] == only[1][source] for source in both) < 0.5 * len(both):
        return False
    forget_reminted(old, new)
    return True


def truth_by_place(old, new):
    """Second best: as many cells as before, most of them equal and in place.
    Then every cell is taken for the one that stood there, so a cell that was
    deleted and another inserted there counts as missed."""
    equal = sum(a.source == b.source for a, b in zip(old, new))
    if len(old) != len(new) or equal < 0.5 * len(old) or equal == len(old):
        return False
    for i, (a, b) in enumerate(zip(old, new)):
        a.true_id = b.true_id = f"place{i}"
    return True


def kind_of_revision(old, new):
    """Names of what happened between two revisions."""
    where = {c.true_id: i for i, c in enumerate(old) if c.true_id is not None}
    order = [where[c.true_id] for c in new if c.true_id in where]
    kinds = []
    if len(order) < len(new):
        kinds.append("insert")
    if len(order) < len(old):
        kinds.append("delete")
    if order != sorted(order):
        kinds.append("move")
    if any(c.true_id in where and old[where[c.true_id]].source != c.source for c in new):
        kinds.append("edit")
    return "+".join(kinds) or "same sources"


# ---------------------------------------------------------------- synthetic edits

WORDS = ("data frame result value model plot index array total mean axis train test sample window "
         "filter count group label column score matrix vector signal").split()


def some_code(rng):
    """One plausible line that is new."""
    a, b, c = rng.choice(WORDS), rng.choice(WORDS), rng.choice(WORDS)
    return rng.choice([f"{a}_{b} = {c}.{b}({rng.randint(0, 99)})", f"print({a}.{b})", f"# {a} {b} of the {c}",
                       f"for {a} in {b}:", f"{a} = {b}[{rng.randint(0, 9)}] + {c}", f"plt.{a}({b}, {c}={rng.random():.2f})"])


def edited(source, rng, much=None):
    """The source after some edits.  Unless told how many, as people do it: the
    similarity (difflib) of before and after has median 0.95, p5 0.6."""
    for _ in range(much or rng.choice([1] * 8 + [2, 3])):
        lines = source.split("\n")
        k = rng.randrange(len(lines))
        what = rng.random() * (0.7 if not much and len(source) < 60 else 1)
        words = list(re.finditer(r"\w+", lines[k]))
        if what < 0.6 and words:                        # one word or number
            w = rng.choice(words)
            by = str(rng.randint(0, 999)) if w.group().isdigit() else rng.choice(WORDS)
            lines[k] = lines[k][:w.start()] + by + lines[k][w.end():]
        elif what < 0.7:                                # something at the end of the line
            lines[k] += rng.choice([".", ";", ", ", "  # "]) + rng.choice(WORDS)
        elif what < 0.75 and words:                     # a name, everywhere
            name = rng.choice(words).group()
            source = re.sub(r"\b%s\b" % re.escape(name), rng.choice(WORDS), source)
            continue
        elif what < 0.9 or len(lines) < 3:              # a line more
            lines.insert(k + rng.randint(0, 1), some_code(rng))
        else:                                           # a line less
            del lines[k]
        source = "\n".join(lines)
    return source


class Script:
    """Edits one notebook and keeps the truth."""

    def __init__(self, cells, foreign, rng):
        self.cells, self.foreign, self.rng, self.born, self.descents = cells, foreign, rng, 0, set()

    def fresh(self, source=None, type=None):
        """A new cell: of another notebook, if no source is given."""
        self.born += 1
        other = self.rng.choice(self.foreign)
        return Cell(other.source if source is None else source, type or other.type, other.meta, f"new{self.born}")

    def pick(self, full=False):
        """A random position; of a cell with a text to work on, if full."""
        choice = [i for i, c in enumerate(self.cells) if not full or len(c.source.strip()) > 3]
        return self.rng.choice(choice or range(len(self.cells)))

    def edit(self):
        i = self.pick(True)
        self.cells[i] = self.cells[i].copy(source=edited(self.cells[i].source, self.rng))

    def edit_much(self):
        i = self.pick(True)
        self.cells[i] = self.cells[i].copy(source=edited(self.cells[i].source, self.rng, 8))

    def insert(self):
        for _ in range(self.rng.choice([1, 1, 2, 4])):
            self.cells.insert(self.rng.randint(0, len(self.cells)), self.fresh())

    def delete(self):
        for _ in range(min(self.rng.choice([1, 1, 2, 4]), len(self.cells) - 1)):
            del self.cells[self.pick()]

    def replace(self):
        i = self.pick(True)
        self.cells[i] = self.fresh(type=self.cells[i].type)

    def move(self):
        cell = self.cells.pop(self.pick())
        self.cells.insert(self.rng.randint(0, len(self.cells)), cell)

    def move_block(self):
        i = self.pick()
        block = self.cells[i:i + self.rng.randint(2, 6)]
        del self.cells[i:i + len(block)]
        k = self.rng.randint(0, len(self.cells))
        self.cells[k:k] = block

    def move_edit(self):
        cell = self.cells.pop(self.pick(True))
        cell = cell.copy(source=edited(cell.source, self.rng))
        self.cells.insert(self.rng.randint(0, len(self.cells)), cell)

    def duplicate(self):
        i = self.pick(True)
        self.cells.insert(i + 1, self.fresh(self.cells[i].source, self.cells[i].type).copy(meta=self.cells[i].meta))

    def duplicate_far(self):
        i = self.pick(True)
        k = self.rng.randint(0, len(self.cells))
        self.cells.insert(k, self.fresh(self.cells[i].source, self.cells[i].type).copy(meta=self.cells[i].meta))

    def copy_edit(self):
        i = self.pick(True)
        self.cells.insert(i + 1, self.fresh(edited(self.cells[i].source, self.rng), self.cells[i].type))

    def blank(self):
        for _ in range(self.rng.randint(1, 3)):
            self.cells.insert(self.rng.randint(0, len(self.cells)), self.fresh("", "code"))

    def fill_blank(self):
        """Type into a blank cell."""
        choice = [i for i, c in enumerate(self.cells) if not c.source.strip()]
        if choice:
            i = self.rng.choice(choice)
            self.cells[i] = self.cells[i].copy(source=self.rng.choice(self.foreign).source)

    def empty(self):
        i = self.pick()
        self.cells[i] = self.cells[i].copy(source="")

    def replace_local(self):
        """One cell goes, a variant of another appears elsewhere."""
        if len(self.cells) > 1:
            del self.cells[self.pick()]
            self.copy_edit()

    def split(self, parts=2, edit=False, retype=False):
        """Cut in pieces; the largest one stays who it was."""
        choice = [i for i, c in enumerate(self.cells) if c.source.count("\n") >= max(3, parts)]
        if not choice:
            return
        i = self.rng.choice(choice)
        cell = self.cells[i]
        lines = cell.source.split("\n")
        cuts = [0] + sorted(self.rng.sample(range(1, len(lines)), parts - 1)) + [len(lines)]
        pieces = ["\n".join(lines[a:b]) for a, b in zip(cuts, cuts[1:])]
        most = max(pieces, key=len)
        if edit:
            k = self.rng.randrange(len(pieces))
            pieces[k], most = edited(pieces[k], self.rng), most if pieces[k] != most else None
            most = most or pieces[k]
        other = "markdown" if cell.type == "code" else "code"
        new = []
        for k, piece in enumerate(pieces):
            if k == pieces.index(most):
                new.append(cell.copy(source=piece))
            else:
                new.append(self.fresh(piece, other if retype else cell.type))
                if piece.strip():
                    self.descents.add((cell.true_id, new[-1].true_id, False))
        self.cells[i:i + 1] = new

    def split_3(self):
        self.split(3)

    def split_edit(self):
        self.split(edit=True)

    def split_retype(self):
        self.split(retype=True)

    def merge(self, parts=2, edit=False):
        """Cells become one, which is the largest of them."""
        if len(self.cells) < parts:
            return
        i = self.rng.randrange(len(self.cells) - parts + 1)
        these = self.cells[i:i + parts]
        keep = max(these, key=lambda c: len(c.source))
        for cell in these:
            if cell is not keep and cell.source.strip():
                self.descents.add((cell.true_id, keep.true_id, True))
        source = "\n".join(c.source for c in these)
        self.cells[i:i + parts] = [keep.copy(source=edited(source, self.rng) if edit else source)]

    def merge_3(self):
        self.merge(3)

    def merge_edit(self):
        self.merge(edit=True)

    def retype(self):
        i = self.pick(True)
        self.cells[i] = self.cells[i].copy(type="markdown" if self.cells[i].type == "code" else "code", meta="")

    def rerun(self):
        self.cells = [c.copy(meta=c.meta + "collapsed") for c in self.cells]

    def reformat(self):
        self.cells = [c.copy(source=re.sub(r"(?m)^ +| +$|(?<=[,=]) +", "", c.source)) for c in self.cells]

    def upgrade(self):
        """From format 3 to 4: headings become markdown, metadata and outputs
        other names, every cell an id; sources are joined anew."""
        level = lambda c: "#" * self.rng.choice([1, 2, 2, 3]) + " " + c.source.replace("\n", " ")
        self.cells = [c.copy(type="markdown" if c.type == "heading" else c.type,
                             source=level(c) if c.type == "heading" else c.source, meta=c.meta + "v4",
                             ids=(None, f"v4-{i}")) for i, c in enumerate(self.cells)]

    def upgrade_edit(self):
        """The same, and somebody went on working."""
        self.upgrade()
        for _ in range(2):
            self.edit()
        self.insert()
        self.delete()

    def mixed(self):
        for _ in range(min(self.rng.randint(3, 8), 1 + len(self.cells) // 3)):
            getattr(self, self.rng.choice(["edit", "edit", "edit", "insert", "delete", "move", "move_edit",
                                           "copy_edit", "replace_local", "blank", "fill_blank", "empty", "split", "merge"]))()


KINDS = ["edit", "edit_much", "insert", "delete", "replace", "move", "move_block", "move_edit", "duplicate",
         "duplicate_far", "copy_edit", "blank", "split", "split_3", "split_edit", "split_retype", "merge", "merge_3", "merge_edit", "retype", "rerun", "reformat", "upgrade", "upgrade_edit", "mixed"]
ID_KINDS = ["ids kept", "ids kept, mixed", "ids regenerated", "ids renumbered", "ids renumbered, mixed",
            "ids partly missing", "ids repeated"]


def with_ids(cells, ids):
    """The cells, carrying these ids as nbformat ids."""
    return [c.copy(ids=(None, i)) for c, i in zip(cells, ids)]


def synthetic(notebook, foreign, kind, rng):
    """One edit of a notebook: (old, new, descents as pairs of true ids)."""
    old = [c.copy(true_id=f"c{i}") for i, c in enumerate(notebook)]
    script = Script([c.copy() for c in old], foreign, rng)
    if kind in KINDS:
        getattr(script, kind)()
        return old, script.cells, script.descents
    if "mixed" in kind:
        script.mixed()
    else:
        script.insert()
        script.edit()
    new, born = script.cells, script.descents
    if "kept" in kind:
        return with_ids(old, [c.true_id for c in old]), with_ids(new, [c.true_id for c in new]), born
    if "regenerated" in kind:
        return with_ids(old, [c.true_id for c in old]), with_ids(new, [f"g{j}" for j in range(len(new))]), born
    if "renumbered" in kind:
        return with_ids(old, [f"cell-{i}" for i in range(len(old))]), with_ids(new, [f"cell-{i}" for i in range(len(new))]), born
    if "missing" in kind:
        return (with_ids(old, [c.true_id for c in old]),
                with_ids(new, [rng.choice([c.true_id, None]) for c in new]), born)
    return (with_ids(old, [rng.choice([c.true_id, "same"]) for c in old]),
            with_ids(new, [rng.choice([c.true_id, "same"]) for c in new]), born)


# ---------------------------------------------------------------- workflows

def with_links(cells, links):
    """Gives operators their links: (source, port, target, port)."""
    by_id = {c.true_id: c for c in cells}
    for c in cells:
        c.links = []
    for source, out, target, into in links:
        if source in by_id and target in by_id:
            by_id[source].links.append(("out", out, target, into))
            by_id[target].links.append(("in", into, source, out))
    return cells


def operators(content):
    """The operators of a workflow as cells without ids."""
    content = content.get("content", content)
    if isinstance(content, str):
        content = json.loads(content)
    cells = [Cell(o["operatorProperties"]["code"] if "code" in o["operatorProperties"]
                  else json.dumps(o["operatorProperties"], sort_keys=True), o["operatorType"],
                  "", o["operatorID"]) for o in content["operators"]]
    return with_links(cells, [(k["source"]["operatorID"], k["source"].get("portID", ""),
                               k["target"]["operatorID"], k["target"].get("portID", "")) for k in content["links"]])


def an_operator(rng, n):
    """One operator of a synthetic workflow; many of them are equal."""
    kind = rng.choice(["Filter", "Projection", "Sort", "Limit", "Aggregate", "PythonUDFV2", "PythonUDFV2", "CSVFileScan"])
    column = rng.choice(["a", "b", "price"])
    text = {"Filter": {"predicates": [{"attribute": column, "condition": rng.choice([">", "="]), "value": str(rng.randint(0, 2))}]},
            "Projection": {"attributes": [], "isDrop": False}, "Sort": {"attributes": [{"attribute": column, "sortPreference": "ASC"}]},
            "Limit": {"limit": 10}, "CSVFileScan": {"fileName": f"/data/{rng.randint(0, 3)}.csv", "customDelimiter": ","},
            "Aggregate": {"aggregations": [{"aggFunction": "sum", "attribute": column}], "groupByKeys": []}}.get(kind)
    if text is None:
        code = "\n".join("        " + some_code(rng) for _ in range(rng.randint(1, 12)))
        source = f"from pytexera import *\n\nclass ProcessTupleOperator(UDFOperatorV2):\n    def process_tuple(self, tuple_, port):\n{code}\n        yield tuple_"
    else:
        source = json.dumps(text)
    return Cell(source, kind, "", f"op{n}")


def a_workflow(rng, size, shape):
    """A synthetic workflow: chains, fans, or anything without circles."""
    cells = [an_operator(rng, n) for n in range(size)]
    links = []
    for n in range(1, size):
        if shape == "chain":
            before = [] if n % 20 == 0 else [n - 1]
        elif shape == "fan":
            before = [max(0, n - rng.choice([5, 5, 5, 1]))] if n % 40 else []
        else:
            before = rng.sample(range(max(0, n - 8), n), min(n, rng.choice([1, 1, 1, 2])))
        links += [(f"op{b}", "output-0", f"op{n}", f"input-{k}") for k, b in enumerate(before)]
    return with_links(cells, links)


def edit_workflow(old, kind, rng):
    """A workflow generated anew: its order changed, and what kind says."""
    new = [c.copy(links=list(c.links)) for c in old]
    if "same order" not in kind:
        rng.shuffle(new)
    code = [i for i, c in enumerate(new) if len(c.source) > 20]
    if "edited" in kind:
        for i in rng.sample(code, min(len(code), max(2, len(new) // 5))):
            new[i] = new[i].copy(source=edited(new[i].source, rng))
    if "changed" in kind:                               # operators come and go
        gone = {c.true_id for c in rng.sample(new, max(1, len(new) // 20))}
        new = [c for c in new if c.true_id not in gone]
        for c in new:
            c.links = [k for k in c.links if k[2] not in gone]
        for n in range(max(1, len(old) // 20)):
            born, beside = an_operator(rng, f"new{n}"), rng.choice(new)
            born.links = [("in", "input-0", beside.true_id, "output-0")]
            beside.links.append(("out", "output-0", born.true_id, "input-0"))
            new.insert(rng.randint(0, len(new)), born)
    if "clone" in kind:                                 # ids inside the text, all of them new
        def tag(cells, salt):
            return [c.copy(source=c.source + " # after Filter-operator-" +
                           str(uuid.UUID(int=random.Random(f"{salt}{c.true_id}").getrandbits(128)))) for c in cells]
        return tag(old, "old"), tag(new, "new")
    return old, new


WORKFLOW_KINDS = ["anew", "anew, same order", "anew, edited", "anew, changed", "anew, edited, changed", "clone"]


def workflow_edits(first, seeds):
    """(label, old, new): the saves of the version chain, and workflows, real
    and synthetic, generated anew."""
    with open(os.path.join(DATA, "texera/version-chain_states_after_each_save.json"), encoding="utf-8") as f:
        states = [operators(s) for s in json.load(f)]
    for old, new in zip(states, states[1:]):
        yield "version chain", old, new
    paths = ("texera/workflow*.json", "texera/udon_W*.json", "texera/Q*_Final.json",
             "texera/prompt-example_workflow_content.json")
    real = []
    for path in sorted(p for pattern in paths for p in glob.glob(os.path.join(DATA, pattern))):
        with open(path, encoding="utf-8") as f:
            real.append((os.path.basename(path), operators(json.load(f))))
    for kind in WORKFLOW_KINDS:
        for name, old in real:
            for seed in range(first, first + seeds):
                yield f"real, {kind}", *edit_workflow(old, kind, random.Random(f"{name}{kind}{seed}"))
        for shape in ("chain", "fan", "any"):
            for size in (10, 30, 70, 200):
                for seed in range(first, first + seeds):
                    rng = random.Random(f"{shape}{size}{kind}{seed}")
                    yield f"{shape}, {kind}", *edit_workflow(a_workflow(rng, size, shape), kind, rng)


# ---------------------------------------------------------------- worst cases

def worst_cases():
    """(name, old, new) of inputs made to be slow."""
    rng = random.Random(1)
    n = 10000

    def words(count):
        return " ".join("%x" % rng.getrandbits(32) for _ in range(count))
    yield "10,000 x 10,000 all different", [Cell(words(15)) for _ in range(n)], [Cell(words(15)) for _ in range(n)]
    yield "10,000 equal", [Cell("x = 1")] * n, [Cell("x = 1")] * n
    yield "10,000 equal against 9,000", [Cell("x = 1")] * n, [Cell("x = 1")] * 9000
    yield "10,000 equal, all metadata new", *([Cell("x = 1", meta=str(i)) for i in range(n)],
                                             [Cell("x = 1", meta=str(-i)) for i in range(9999)])
    yield "10,000 blank", [Cell("")] * n, [Cell("\n")] * n
    yield "10,000 nearly equal, all edited", *([Cell(f"value_{i} = compute(data, {i})") for i in range(n)],
                                              [Cell(f"value_{i} = compute(datum, {i})") for i in range(n)])
    yield "10,000 nearly equal, other numbers", *([Cell(f"value = compute(data, {i})") for i in range(n)],
                                                 [Cell(f"value = compute(data, {i + n})") for i in range(n)])
    yield "10,000 reversed", [Cell(f"x{i}") for i in range(n)], [Cell(f"x{n - i}") for i in range(n)]
    base = [words(15) for _ in range(n)]
    yield "10,000 edited and shuffled", *([Cell(b) for b in base],
                                         [Cell(b + " more") for b in rng.sample(base, n)])
    yield "10,000 alternating two texts", *([Cell("abcd"[i % 2] * 9, meta=str(i)) for i in range(n)],
                                           [Cell("abcd"[i % 2] * 9, meta=str(-i)) for i in range(n - 1)])
    yield ("40 gaps of 250 x 250",) + gaps(rng, words)
    big = [words(550000) for _ in range(2)]
    yield "two texts of 5 MB", [Cell(big[0])], [Cell(big[1])]
    yield "5 MB of one letter", [Cell("a" * 5000000)], [Cell("a" * 5000001)]
    text = words(110000)
    yield "30 nearly equal texts of 1 MB", *([Cell(text[:i * 9] + "x" + text[i * 9:]) for i in range(30)],
                                            [Cell(text[:i * 9] + "y" + text[i * 9:]) for i in range(30)])
    yield "2,000 texts of 5 kB, all replaced", *([Cell(words(550)) for _ in range(2000)],
                                                [Cell(words(550)) for _ in range(2000)])
    yield "2,000 ids renumbered, all edited", *(with_ids([Cell(b) for b in base[:2000]], map(str, range(2000))),
                                               with_ids([Cell(b + "x") for b in base[:2000]], map(str, range(1, 2001))))


def worst_descents():
    """The same for the search for descents: (name, old, new, matching)."""
    rng = random.Random(2)
    n = 10000

    def lines(count, words=4):
        return "\n".join(" ".join("%x" % rng.getrandbits(32) for _ in range(words)) for _ in range(count))
    texts = [lines(12) for _ in range(n)]
    halves = [("\n".join(t.split("\n")[:7]), "\n".join(t.split("\n")[7:])) for t in texts]
    yield ("10,000 cut in two", [Cell(t) for t in texts], [Cell(h) for pair in halves for h in pair],
           [i // 2 if i % 2 == 0 else -1 for i in range(2 * n)])
    yield ("10,000 joined two by two", [Cell(h) for pair in halves for h in pair], [Cell(t) for t in texts],
           [2 * i for i in range(n)])
    yield ("one cut into 30,000 lines", [Cell("\n".join(lines(1) for _ in range(30000)))],
           [Cell("rest")] + [Cell(lines(1)) for _ in range(30000)], [0] + [-1] * 30000)
    big = lines(30000).split("\n")
    yield ("one cut into its 30,000 lines", [Cell("\n".join(big))], [Cell("rest")] + [Cell(t) for t in big], [0] + [-1] * 30000)
    yield ("all lines equal, 5,000 edited, 5,000 new", [Cell("x = 1234\n" * 20)] * 5000,
           [Cell(f"y = {i}") for i in range(5000)] + [Cell("x = 1234\n" * 5)] * 5000, list(range(5000)) + [-1] * 5000)
    yield ("two texts of 5 MB and a new one", [Cell(lines(140000))], [Cell(lines(140000)), Cell(lines(140000))], [0, -1])


def worst_workflows():
    """Workflows made to be slow: (name, old, new)."""
    rng = random.Random(3)
    for shape in ("chain", "fan", "any"):
        old = a_workflow(rng, 5000, shape)
        yield f"5,000 operators, {shape}, anew", *edit_workflow(old, "anew", rng)
    for name, source in (("equal", lambda i: "same text of all"), ("all edited", lambda i: f"code = compute({i}, {i * i})")):
        n = 5000
        star = [Cell("hub", "Hub", "", "op0")] + [Cell(source(i), "Leaf", "", f"op{i}") for i in range(1, n)]
        star = with_links(star, [("op0", "o", f"op{i}", "i") for i in range(1, n)])
        yield f"hub with 5,000 leaves, {name}", star, [c.copy(source=c.source.replace("compute", "reckon")) for c in star]
    dense = with_links([Cell("p", "P", "", f"op{i}") for i in range(600)],
                       [(f"op{i}", "o", f"op{j}", "i") for i in range(600) for j in range(i)])
    near = [Cell(f"unique text {i} of a node {i * i}" if i < 800 else f"a leaf among leaves, number {i % 7} of these all", "P", "", f"op{i}")
            for i in range(830)]
    near = with_links(near, [(f"op{i}", "o", f"op{j}", "i") for i in range(800) for j in range(800, 830)])
    yield "800 linked with 30 nearly equal", near, [c.copy(source=c.source.replace("leaves", "trees")) for c in near]
    yield "600 equal, all linked with all", *edit_workflow(dense, "anew", rng)


def gaps(rng, words):
    """Unique anchors with 250 new cells between each two."""
    sides = ([], [])
    for g in range(40):
        for side in sides:
            side.append(Cell(f"anchor {g}"))
            side.extend(Cell(words(60)) for _ in range(249))
    return sides


# ---------------------------------------------------------------- the tables

def history_tables(lib, wrong):
    """Real revisions, by what happened between them."""
    for truth in (truth_by_ids, truth_by_place):
        print(f"\n== real histories, ids stripped, {truth.__name__.replace('_', ' ')}")
        by_kind = defaultdict(Score)
        for step in (1, 3, 10):
            for label, old, new in revisions(step):
                if truth(old, new):
                    result = match(lib, old, new)
                    label = f"step {step} {label}"
                    by_kind[kind_of_revision(old, new)].add(old, new, result, wrong, label)
                    by_kind["~ all"].add(old, new, result)
        for kind, score in sorted(by_kind.items()):
            print(f"{kind:24s}{score}")
        if not by_kind:
            print("skipped, no such revisions in this corpus")


def history_descents(lib):
    """The splits and merges found in real revisions, for a person to judge."""
    print("\n== splits and merges found in real histories, revision by revision")
    count = pairs = 0
    for label, old, new in revisions(1):
        result = match(lib, old, new)
        pairs += 1
        for a, b, merge in sorted(descents(lib, old, new, result)):
            count += 1
            other = result[b] if merge else result.index(a)
            line = lambda c: "\\n".join(c.source.split("\n"))[:160]
            print(f"{label} {'merge' if merge else 'split'}: {a} -> {b}"
                  f"\n    {'part ' if merge else 'whole'} {line(old[a])}\n    {'whole' if merge else 'part '} {line(new[b])}"
                  f"\n    rest  {line(old[other] if merge else new[other])}")
    print(f"{count} in {pairs} revisions")


def synthetic_table(lib, kinds, first, seeds, wrong, wrong_descents):
    """Edit scripts over the real notebooks, by kind of edit."""
    print(f"\n== synthetic edits of real notebooks, {seeds} seeds each")
    paths = sorted(glob.glob(os.path.join(DATA, "notebooks_corpus/notebooks/*.ipynb")))
    notebooks = [(p, c) for p, c in ((p, load(p)) for p in paths) if c]
    total = Score()
    scores = {}
    for kind in kinds:
        score = scores[kind] = Score()
        for path, cells in notebooks:
            foreign = [c for p, other in notebooks if p != path for c in other if c.source.strip()]
            for seed in range(first, first + seeds):
                old, new, born = synthetic(cells, foreign, kind, random.Random(f"{path[-20:]}{kind}{seed}"))
                result = match(lib, old, new)
                label = f"{kind} {os.path.basename(path)} {seed}"
                score.add(old, new, result, wrong, label)
                total.add(old, new, result)
                found = descents(lib, old, new, result)
                score.add_descents(old, new, born, found, wrong_descents, label)
                total.add_descents(old, new, born, found)
        print(f"{kind:24s}{score}")
    print(f"{'all':24s}{total}")
    print(f"\n== splits and merges found in these edits")
    for kind, score in scores.items():
        print(f"{kind:24s}{score.descents()}")


def workflow_table(lib, first, seeds, wrong, wrong_descents):
    """Operators of real workflows, ids stripped."""
    print("\n== workflows, ids stripped")
    by_kind = defaultdict(Score)
    for kind, old, new in workflow_edits(first, seeds):
        result = match(lib, old, new)
        by_kind[kind].add(old, new, result, wrong, kind)
        by_kind[kind].add_descents(old, new, set(), descents(lib, old, new, result), wrong_descents, kind)
        if any(c.links for c in old):
            bare = [[c.copy(links=()) for c in side] for side in (old, new)]
            by_kind["without links: " + kind.split(", ", 1)[-1]].add(*bare, match(lib, *bare))
    for kind, score in sorted(by_kind.items()):
        print(f"{kind:28s}{score}")
    print("\n== splits and merges found in workflows, where there are none")
    for kind, score in sorted(by_kind.items()):
        if score.born_found:
            print(f"{kind:28s}{score.descents()}")


def worst_table(lib):
    """Time and memory of the worst cases."""
    print("\n== worst cases")
    peak = ctypes.c_size_t.in_dll(lib, "pgstub_peak")
    for name, old, new in [*worst_cases(), *worst_workflows()]:
        a, b, result = as_items(old), as_items(new), (ctypes.c_int * len(new))()
        peak.value = 0
        start = time.process_time()
        lib.nbm_match(a, len(old), b, len(new), None, result)
        took = time.process_time() - start
        print(f"{name:42s}{1000 * took:9.1f} ms {peak.value / 1e6:8.1f} MB"
              f"   {sum(r >= 0 for r in result)} matched of {len(new)}")
    print("\n== worst cases of the search for splits and merges")
    for name, old, new, links in worst_descents():
        a, b, result, count = as_items(old), as_items(new), (ctypes.c_int * len(new))(*links), ctypes.c_int()
        peak.value = 0
        start = time.process_time()
        found = lib.nbm_find_descents(a, len(old), b, len(new), result, ctypes.byref(count))
        took = time.process_time() - start
        if found:
            lib.pfree(found)
        print(f"{name:42s}{1000 * took:9.1f} ms {peak.value / 1e6:8.1f} MB   {count.value} found")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrong", action="store_true", help="print every wrong pair")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("only", nargs="*", help="history, workflows, worst, or kinds of synthetic edit")
    args = parser.parse_args()
    if not os.path.isdir(os.path.join(DATA, "notebooks_corpus")):
        print("accuracy: skipped, no notebooks_corpus in NBM_DATA")
        return
    lib = build()
    wrong = [] if args.wrong else None
    wrong_descents = [] if args.wrong else None
    if not args.only or "history" in args.only:
        history_tables(lib, wrong)
        history_descents(lib)
    kinds = [k for k in KINDS + ID_KINDS if not args.only or k in args.only]
    if kinds:
        synthetic_table(lib, kinds, args.first_seed, args.seeds, wrong, wrong_descents)
    if not args.only or "workflows" in args.only:
        workflow_table(lib, args.first_seed, args.seeds, wrong, wrong_descents)
    if not args.only or "worst" in args.only:
        worst_table(lib)
    for label, j, cell, truth, true_old, found, found_old in wrong or []:
        print(f"\n{label} new {j} {cell}\n   truth {truth} {true_old}\n   found {found} {found_old}")
    for label, (origin, to, merge), is_true, old, new in wrong_descents or []:
        print(f"\n{label}: {'merge' if merge else 'split'} {'missed' if is_true else 'false'}")
        for name, side, true_id in (("   from", old, origin), ("     is", new, origin), ("    was", old, to), ("     to", new, to)):
            print(name, [c for c in side if c.true_id == true_id])


if __name__ == "__main__":
    main()
