# With a server of your own:  make && make install && make installcheck
# With nothing but this tree: make demo, make test ("make help" has them all)

EXTENSION    = notebook_migrate
MODULE_big   = notebook_migrate
EXTVERSION  := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)
OBJS        := $(patsubst %.c,%.o,$(sort $(wildcard src/*/*.c)))
DATA        := $(sort $(wildcard migrations/$(EXTENSION)--*.sql)) migrations/migrations_load.psql
PG_CPPFLAGS  = $(addprefix -I,$(sort $(dir $(wildcard src/*/*.h)))) -DNBM_VERSION=\"$(EXTVERSION)\"
SHLIB_LINK   = -Wl,--version-script=exports.map -lcjson

# The file named "setup" creates the extension for all that follow.
REGRESS        := $(patsubst sql/%.sql,%,$(wildcard sql/setup.sql) \
		    $(filter-out sql/setup.sql,$(sort $(wildcard sql/*.sql))))
ISOLATION      := $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS  = --inputdir=test --load-extension=$(EXTENSION)
PROVE_TESTS    := $(sort $(wildcard test/t/*.pl))
TAP_TESTS      := $(if $(PROVE_TESTS),1)
EXTRA_CLEAN     = META.json

PG_CONFIG ?= pg_config
PGXS      := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

# The targets below this need no server, and install one where it is missing.
ifneq ($(PGXS),)
include $(PGXS)
else
all install installcheck clean:
	@echo "$(PG_CONFIG) knows of no server to build for:" \
	  "install postgresql-server-dev-15, or set PG_CONFIG" >&2; exit 1
endif

$(OBJS): $(wildcard src/*/*.h) $(EXTENSION).control

.PHONY: help demo test bench accuracy format typedefs dist

help:
	@echo "make demo      see it work on a private, throw-away server"
	@echo "make test      run every test on private servers"
	@echo "               (NBM_KEEP=1 leaves what it made to be looked at)"
	@echo "make bench     measure it against plain tables on a private server"
	@echo "make accuracy  how well cells are recognised, by kind of edit (needs python3)"
	@echo "make           build for the server of PG_CONFIG; then make install,"
	@echo "               make installcheck (against that server, running)"
	@echo "make format    format the C sources (needs pg-bsd-indent)"
	@echo "make typedefs  list anew the types that the formatter must know"
	@echo "make dist      pack a release"

demo:
	@demo/run

test:
	@test/run

bench:
	@test/bench/run

accuracy:
	@python3 test/accuracy/accuracy.py

# What pgindent passes, and its last step: one space before the "*" of a
# function's type.  A file that the formatter does not understand stays as it is.
INDENT = pg_bsd_indent -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 \
	-nfc1 -i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4 -Utypedefs.list

format: SHELL = /bin/bash
format:
	@for f in src/*/*.[ch]; do \
	  new=$$($(INDENT) <"$$f") || \
	    { echo "$$f:"; echo "$$new" | grep INDENT; status=1; continue; }; \
	  new=$$(echo "$$new" | sed -E 's/^([A-Za-z_]\S*)[ \t]+\*$$/\1 */'); \
	  [ "$$new" = "$$(cat "$$f")" ] || { echo "$$f"; echo "$$new" >"$$f"; }; \
	done; exit $$status

# The types that the compiler saw, as far as the sources name them; without
# those that pgindent leaves out as well, being names of other things too.
typedefs: SHELL = /bin/bash
typedefs: $(OBJS)
	@objdump --dwarf=info $(OBJS) | grep -A3 DW_TAG_typedef | \
	  sed -n 's/.*DW_AT_name .*: //p' | cat - <(echo bool) | LC_ALL=C sort -u | \
	  grep -Fxf <(grep -ohw '[A-Za-z_][A-Za-z_0-9]*' src/*/*.[ch] | sort -u) | \
	  grep -vxE 'ANY|FD_SET|U|abs|allocfunc|boolean|date|digit|ilist|interval|iterator|other|pointer|printfunc|reference|string|timestamp|type|wrap' \
	  >typedefs.list

META.json: META.json.in $(EXTENSION).control
	sed 's/@VERSION@/$(EXTVERSION)/' $< >$@

dist: META.json
	git archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION)/ \
	  --add-file=META.json -o $(EXTENSION)-$(EXTVERSION).zip HEAD
