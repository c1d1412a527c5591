#!/bin/bash
# goal: tablespaces are restored elsewhere with -T, beside the running original, whose files stay untouched
# turns: file s3
# full-versions: file@13 s3@17 file@18 s3@19
. "$(dirname "$0")/../lib.sh"

step "a server with two tablespaces"
config_write
server_create main --data-checksums
expect_status 0 repository-init
server_start main
mkdir one "with space"
sql main "create tablespace one location '$T/one'" "create tablespace two location '$T/with space'"
sql main "create table a tablespace one as select i, repeat('a', 100) as pad from generate_series(1, 20000) i" \
    "create table b tablespace two as select i, repeat('b', 100) as pad from generate_series(1, 20000) i" \
    "create table c as select i from generate_series(1, 20000) i"
expect_status 0 basebackup-push --checkpoint=fast --jobs 3
sql main "insert into a select i, 'later' from generate_series(20001, 30000) i" "update b set pad = 'later' where i <= 10"
archived main
sums="select (select sum(i) from a), (select count(*) from b where pad = 'later'), (select sum(i) from c)"
sql main "checkpoint" "$sums" >expected
files() { find one "with space" main/pg_tblspc main/base -printf '%i %n %m %s %T@ %p %l\n' | sort -k 6; }
files >files.before

step "onto the original's own places: refused"
status=0
basebackup-fetch -D "$T/copy" >refused.log 2>&1 || status=$?
cat refused.log
expect_true "a failure, not $status" test $status = 1 -o $status = 2
expect_absent copy/global/pg_control
rm -rf copy
files >files.now
expect_same "the original's files" files.before files.now

step "with -T: restored, verified, recovered and written to, beside the original"
expect_status 0 basebackup-fetch -D "$T/copy" -T "$T/one=$T/copy one" -T "$T/with space=$T/copy two"
expect_status 0 pg_verifybackup -n copy
expect_absent copy/tablespace_map
expect_equal "links" "$T/copy one
$T/copy two" "$(find copy/pg_tblspc -type l -printf '%l\n' | sort)"
expect_status 0 recovery-config -D "$T/copy"
server_start copy
wait_open copy
sql copy "$sums" >found
expect_same "rows in the copy" expected found
sql copy "update a set pad = 'copy'" "update b set pad = 'copy'" "vacuum full b" "checkpoint"
sql copy "drop table a"
server_stop copy

step "the original has not noticed"
files >files.now
expect_same "the original's files" files.before files.now
sql main "$sums" >found
expect_same "rows in the original" expected found
sql main "insert into a values (0, '')" "select count(*) from a" >/dev/null
