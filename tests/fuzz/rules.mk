# Fuzzing: "make fuzz" (clang) runs every target of tests/fuzz for FUZZ_SECONDS, "make fuzz-replay" (gcc) what they found.
# What fuzzing finds is kept in build/fuzz/corpus, "make fuzz-merge" takes into tests/fuzz/corpus what is new there.

FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BUILD    = $(BUILD)/fuzz
# A quarantine of 16 MiB, so that the limit of memory is for the target.
FUZZ_FLAGS    = -timeout=1 -rss_limit_mb=256 -malloc_limit_mb=256 -close_fd_mask=2 -print_final_stats=1

SOURCES += $(wildcard tests/fuzz/*.[ch])

$(BUILD)/bin/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(addprefix $(BUILD)/,$(addsuffix .a,$(FOLDERS))) $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS) -lpq
fuzz-programs: $(addprefix $(BUILD)/bin/fuzz_,$(FUZZ_TARGETS))

fuzz-built:
	$(MAKE) BUILD=$(FUZZ_BUILD) CC=clang SANITIZE=fuzzer-no-link,address,undefined \
	    CFLAGS='-O1 -g -fno-sanitize-recover=all' fuzz-programs

# One after the other; a finding ends the run, its input is left in build/fuzz.
fuzz: fuzz-built
	@for name in $(FUZZ_TARGETS); do \
	    mkdir -p $(FUZZ_BUILD)/corpus/$$name; \
	    echo "== $$name"; \
	    ASAN_OPTIONS=quarantine_size_mb=16 $(FUZZ_BUILD)/bin/fuzz_$$name $(FUZZ_FLAGS) -max_total_time=$(FUZZ_SECONDS) \
	        -artifact_prefix=$(FUZZ_BUILD)/$$name- $$(ls -d tests/fuzz/$$name.options >/dev/null 2>&1 && cat tests/fuzz/$$name.options) \
	        $$(ls -d tests/fuzz/$$name.dict >/dev/null 2>&1 && echo -dict=tests/fuzz/$$name.dict) \
	        $(FUZZ_BUILD)/corpus/$$name tests/fuzz/corpus/$$name >$(FUZZ_BUILD)/$$name.log 2>&1 \
	        || { tail -n 50 $(FUZZ_BUILD)/$$name.log; exit 1; }; \
	    grep -E '^(Done|stat::(peak_rss|number_of))' $(FUZZ_BUILD)/$$name.log; \
	done

fuzz-merge: fuzz-built
	@for name in $(FUZZ_TARGETS); do \
	    ASAN_OPTIONS=quarantine_size_mb=16 $(FUZZ_BUILD)/bin/fuzz_$$name -merge=1 $(FUZZ_FLAGS) tests/fuzz/corpus/$$name $(FUZZ_BUILD)/corpus/$$name \
	        >$(FUZZ_BUILD)/$$name.merge 2>&1 || { tail $(FUZZ_BUILD)/$$name.merge; exit 1; }; \
	done
	@du -sh --apparent-size tests/fuzz/corpus

# "make check" does the same: the program is a unit test.
fuzz-replay:
	$(MAKE) BUILD=$(BUILD)/asan SANITIZE=address,undefined CFLAGS='-O1 -g -fno-sanitize-recover=all' \
	    $(BUILD)/asan/unit/test_corpus
	@$(BUILD)/asan/unit/test_corpus 2>$(BUILD)/fuzz-replay.log || { tail -n 40 $(BUILD)/fuzz-replay.log; exit 1; }

.PHONY: fuzz fuzz-built fuzz-merge fuzz-programs fuzz-replay

tidy:
	clang-tidy --quiet $(filter %.c,$(SOURCES)) -- $(CPPFLAGS) -std=c11

.PHONY: tidy
