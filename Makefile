# walferry. Targets: all demo check check-full coverage valgrind bench asan tsan lint install uninstall deb clean
# Every program FOLDER/NAME has its main in FOLDER/NAME.c (dashes become underscores); the other files of a folder and all of
# common/ are linked from archives, so a program carries only what it uses.

BUILD    ?= build
PREFIX   ?= /usr/local
CC       ?= gcc
CFLAGS   ?= -O2 -g
WARNINGS  = -std=c11 -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla $(WERROR)
CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_FORTIFY_SOURCE=2 -I. -I$(shell pg_config --includedir 2>/dev/null)
HARDEN    = -fstack-protector-strong -fPIE
LDFLAGS  += -pie -Wl,-z,relro,-z,now -Wl,--as-needed
# libcurl, libcrypto and libzstd are loaded when they are needed (common/library.h).
LDLIBS    = -llz4 -linih -ljansson -lexpat -lpthread -ldl
ifdef SANITIZE
override CFLAGS  += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
override LDFLAGS += -fsanitize=$(SANITIZE)
CPPFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CPPFLAGS))
endif

FOLDERS  = wal-push wal-fetch basebackup recovery-config recovery-window restore-drill status dump repository
PROGRAMS = wal-push/wal-push wal-fetch/wal-fetch basebackup/basebackup-push basebackup/basebackup-fetch \
           basebackup/basebackup-list basebackup/basebackup-verify basebackup/basebackup-expire basebackup/basebackup-pin \
           recovery-config/recovery-config recovery-window/recovery-window restore-drill/restore-drill status/walferry-status \
           dump/dump-push dump/dump-fetch dump/dump-list dump/dump-verify dump/dump-expire \
           repository/repository-init repository/repository-check repository/repository-sync repository/repository-key
BINARIES = $(addprefix $(BUILD)/bin/,$(notdir $(PROGRAMS)))
MAINS    = $(foreach p,$(PROGRAMS),$(dir $(p))$(subst -,_,$(notdir $(p))).c)
UNITS    = $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))

all: $(BINARIES)

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
COMMON = $(BUILD)/common.a
$(COMMON): $(call object,$(wildcard common/*.c))
	@rm -f $@ && ar rcs $@ $^

define folder_rule
$(BUILD)/$(1).a: $(call object,$(filter-out $(MAINS),$(wildcard $(1)/*.c)))
	@rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rule,$(f))))

define program_rule
$(BUILD)/bin/$(notdir $(1)): $(call object,$(dir $(1))$(subst -,_,$(notdir $(1))).c) $(BUILD)/$(patsubst %/,%,$(dir $(1))).a $(COMMON)
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(LDLIBS) $$(if $$(filter basebackup/% restore-drill/% dump/%,$(1)),-lpq)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(WARNINGS) $(HARDEN) -MMD -MP -c -o $@ $<

# Unit tests: one small program a module, tests/unit/test_NAME.c; they may use any folder's archive.
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(addprefix $(BUILD)/,$(addsuffix .a,$(FOLDERS))) $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lpq
units: $(addprefix $(BUILD)/unit/,$(UNITS))

# What the benchmarks measure with, and by.
$(BUILD)/bench/%: $(BUILD)/obj/bench/%.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lcurl -lcrypto -llz4 -lpthread
$(BUILD)/bench/records $(BUILD)/bench/synthesize: $(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/bench/profiler.so: bench/profiler.c
	@mkdir -p $(@D)
	$(CC) -shared -fPIC $(CPPFLAGS) $(CFLAGS) $(WARNINGS) -o $@ $< -ldl
bench-programs: $(patsubst %.c,$(BUILD)/%,$(filter-out bench/profiler.c,$(wildcard bench/*.c))) $(BUILD)/bench/profiler.so

# What is not initialised has a pattern, so that reading it shows.
asan:
	$(MAKE) BUILD=$(BUILD)/asan SANITIZE=address,undefined CFLAGS='-O1 -g -fno-sanitize-recover=all -ftrivial-auto-var-init=pattern' all units

tsan:
	$(MAKE) BUILD=$(BUILD)/tsan SANITIZE=thread CFLAGS='-O1 -g' $(BUILD)/tsan/unit/test_worker_pool $(BUILD)/tsan/unit/test_relay
	$(BUILD)/tsan/unit/test_worker_pool
	$(BUILD)/tsan/unit/test_relay

SOURCES = $(wildcard common/*.[ch] tests/unit/*.[ch] bench/*.[ch] $(foreach f,$(FOLDERS),$(f)/*.[ch]))
lint:
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --inline-suppr --enable=warning,portability -D_GNU_SOURCE -I. $(filter %.c,$(SOURCES))
	$(MAKE) BUILD=$(BUILD)/clang CC=clang WERROR=-Werror all units

UNITDIR ?= $(PREFIX)/lib/systemd/system
install: all
	packaging/install "$(BUILD)/bin" "$(DESTDIR)" "$(PREFIX)" "$(UNITDIR)" $(notdir $(PROGRAMS))

# Takes away what "make install" with the same PREFIX, DESTDIR and UNITDIR puts there.
uninstall:
	@rm -rf $(BUILD)/uninstall
	@$(MAKE) -s install DESTDIR=$(abspath $(BUILD)/uninstall)
	cd $(BUILD)/uninstall && find . ! -type d -printf '%P\0' | (cd "$(DESTDIR)/" && xargs -0 rm -f)
	cd $(BUILD)/uninstall && find . -depth -type d -path '*/walferry*' -printf '%P\0' | (cd "$(DESTDIR)/" && xargs -0 rmdir)
	rm -rf $(BUILD)/uninstall

# The Debian package, build/deb/walferry_VERSION_ARCHITECTURE.deb, from a copy of the tree. "tests/install deb" brings what that needs.
VERSION = $(shell sed -n 's/^.define WALFERRY_VERSION "\(.*\)"/\1/p' common/options.h)
PACKAGE = $(BUILD)/deb/walferry-$(VERSION)
deb:
	rm -rf $(BUILD)/deb && mkdir -p $(PACKAGE)
	tar -c Makefile LICENSE README.md *.sample $(FOLDERS) common docs man packaging tests/fuzz/rules.mk $(DEB_WITH) | tar -x --no-same-owner -C $(PACKAGE)
	cp -r packaging/debian $(PACKAGE)/
	cd $(PACKAGE) && env -u MAKEFLAGS -u MAKELEVEL -u BUILD -u PREFIX -u DESTDIR -u UNITDIR \
	    dpkg-buildpackage -us -uc -b -nc >../build.log 2>&1 || { tail -n 40 ../build.log; exit 1; }
	rm -rf $(PACKAGE)
	@ls $(BUILD)/deb/*.deb

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
.PHONY: all units asan tsan lint install uninstall deb clean
.SECONDARY:

# What they need they install themselves (as root); what they start they end and remove.
demo:
	@tests/install demo
	@$(MAKE) -s all
	@tests/demo

check: tests-built
	tests/run

# SHARD=K/N runs a part; what passed is not repeated. The second run is with sanitizers in the programs themselves.
check-full: tests-built
	tests/install full
	tests/run --full --restart $(if $(SHARD),--shard $(SHARD))
	tests/run --s3 swift --store s3 --restart $(if $(SHARD),--shard $(SHARD)) --only '*.swift*'
	tests/run --restart $(if $(SHARD),--shard $(SHARD)) --only '[0-9]*' --programs $(BUILD)/asan/bin

coverage:
	tests/coverage

# Memcheck's view of the programs, in the scenarios that can bear programs which are thirty times slower. Those left out trace or
# kill by system call (19, 21), hold the time (09, 29-outage, 47), or limit memory and files (48).
valgrind: all units
	tests/install valgrind
	tests/run --valgrind --only '!(unit/*|asan/*|09-*|19-*|21-*|29-outage*|47-*|48-*|*-property-*)'

# Walferry beside pgBackRest and beside the floor, on this machine, as ratios of one run.
bench:
	bench/run

tests-built:
	tests/install check
	$(MAKE) -j$$(nproc) $(if $(CI),WERROR=-Werror) all units bench-programs
	$(MAKE) -j$$(nproc) $(if $(CI),WERROR=-Werror) asan

.PHONY: demo check check-full coverage valgrind bench bench-programs tests-built

include tests/fuzz/rules.mk
