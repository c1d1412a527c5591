#!/bin/bash
# goal: what looks for secrets in everything that the tests leave finds them; no program leaves its memory in a core file or lets another process of its user read it
# stores: none
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

# ---- the finder (tests/secrets.c), which runs at the end of each scenario and beside them

step "a secret in a file is found in each form; not where it may be, and not what is none"
mkdir -p planted/dir
head -c 32 /dev/urandom >planted.key
secret=$(head -c 24 /dev/urandom | base64 | tr +/ -_)/+%
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }
{ printf 'the key %s\n' "$(hex planted.key)" && printf 'a word %s\n' "$(printf %s "$secret" | od -An -v -tx1 | tr -d ' \n')"; } >planted.registry
printf 'may/*\nprivate:own-*\n' >planted.places
: >planted.output
mkdir planted/may planted/may/below
find_planted() { "$SECRETS" find planted.registry planted.places "$T/planted" planted.output; }
expect_status 0 find_planted
plant() { head -c $((RANDOM * 40)) /dev/urandom >"planted/$1" && cat >>"planted/$1" && head -c 3000 /dev/urandom >>"planted/$1"; } # FILE, from standard input
found_row() { # FILE MESSAGE COMMAND
    rm -rf planted/* && mkdir -p planted/may/below planted/dir
    eval "$3" | plant "$1"
    [ "$1" != own-closed ] || chmod 600 planted/own-closed
    expect_status "$([ "$2" = - ] && echo 0 || echo 1)" find_planted
    [ "$2" = - ] || expect_output "SECRET: $1 holds $2"
    expect_equal "the secret itself in what is said" 0 "$(grep -cF "$secret" <<<"$output" || true)"
}
table found_row <<'TABLE'
# file | what is said | content
dir/raw | the key, as it is | cat planted.key
dir/hex | the key, in hex | hex planted.key
large | the key, in hex | tr a-f A-F < <(hex planted.key)
dir/base64 | the key, in base64 | base64 planted.key
dir/.hidden | the key, in base64 | tr -d = < <(base64 planted.key)
core | a word, as it is | printf '%s' "$secret"
dir/a.json | a word, as it is | printf '{"a":"%s"}' "$secret"
dir/url | a word, percent-encoded | python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$secret"
edge | a word, as it is | head -c 3000000 /dev/zero; printf '%s' "$secret"
may/be | - | printf '%s' "$secret"
may/below/be | a word, as it is | printf '%s' "$secret"
own-closed | - | printf '%s' "$secret"
own-open | a word, as it is | printf '%s' "$secret"
dir/none | - | printf '%s' "${secret%?}x"
TABLE
rm -rf planted/*
for ((at = 1048560; at < 1048580; at++)); do # where one block that it reads ends
    { head -c $at /dev/zero && cat planted.key; } >planted/edge
    find_planted >/dev/null && fail "not found at $at"
done
rm planted/edge
{ printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\4\0' && head -c 1000 /dev/zero; } >planted/dump
expect_status 1 find_planted
expect_output "SECRET: dump holds a process's memory: it is a core file"
rm planted/dump
hex planted.key >planted.hex && printf 'the file %s\n' "$(hex planted.hex)" >planted.registry.hex # a key file in hex: its bytes
cp planted.key planted/bytes
expect_status 1 "$SECRETS" find planted.registry.hex planted.places "$T/planted" planted.output
expect_output "SECRET: bytes holds the file, as it is"
rm planted/bytes
printf '$ program --key %s -> 0\n' "$secret" >planted.output
expect_status 0 find_planted
printf '    program: debug: the key is %s\n' "$secret" >>planted.output
expect_status 1 find_planted
expect_output "SECRET: line 2 of this output holds a word, as it is"

step "in the arguments of a program, the arguments and the environment of its child, and that its memory can be read"
mkdir -p places/here programs
cp planted.registry places/here/.secrets
cp /bin/bash programs/wal-leak
watched() { # COMMAND...: what is seen of it, until its memory is told of, and $wanted, if that is to be seen
    local watcher pid
    rm -f places/here/.secrets.seen
    "$SECRETS" watch "$T/places" "$T/programs" >watch.out 2>&1 &
    watcher=$!
    "$@" &
    pid=$!
    wait_until 60 "a find" grep -q "the memory of process $pid" places/here/.secrets.seen
    [ -z "$wanted" ] || wait_until 60 "a find: $wanted" grep -q "$wanted" places/here/.secrets.seen
    kill $pid $watcher
    wait $pid $watcher || true
    seen=$(grep -v "the memory of process $pid, wal-leak, can be read by its user" places/here/.secrets.seen || true)
    printf '    seen: %s\n' "${seen//$'\n'/$'\n'    }"
    expect_equal "the secret itself in what is said" 0 "$(grep -cF "$secret" watch.out || true)"
}
sleeping='trap "kill \$!" TERM; sleep 100 & wait'
KEY=$secret bash -c "$sleeping" wal-leak "$secret" & # no program
other=$! wanted=''
watched programs/wal-leak -c "$sleeping"
kill $other
expect_equal "what is seen of one that keeps its secrets, and of others" "" "$seen"
wanted="SECRET: an argument of process .*, wal-leak, holds a word, as it is"
watched programs/wal-leak -c "$sleeping" "$secret"
wanted="SECRET: an argument of process .*, sleep, holds a word, as it is" # its child's
watched programs/wal-leak -c "trap 'kill \$!' TERM; exec -a '$secret' sleep 100 & wait"
wanted="SECRET: the environment of process .*, sleep, holds a word, as it is"
KEY=$secret watched programs/wal-leak -c "$sleeping"
expect_equal "its own environment is the caller's" 0 "$(grep -c "environment of process .*, wal-leak" <<<"$seen" || true)"

# ---- the programs' memory

cat >hold.py <<'PY'
"""hold.py SIGNAL REQUESTS PROGRAM...: waits until the program, a child of this one, has made a request (a line of that file), tries
to read its memory in each way, ends it with the signal, and prints what could be done: "traced", "read", ..."""
import ctypes, os, pathlib, resource, signal, subprocess, sys, time
number, requests, words = getattr(signal, sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
libc = ctypes.CDLL(None, use_errno=True)
done = []
process = subprocess.Popen(words, stdout=open("said.log", "a"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
end = time.monotonic() + 20
while not (requests.exists() and requests.stat().st_size) and process.poll() is None and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(0.05)
if process.poll() is not None:
    sys.exit(f"it did not wait: {open('said.log').read()}")
pid = process.pid
for name in ("mem", "environ", "maps", "auxv"):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            name == "mem" or file.read(1)
        done.append(name)
    except PermissionError:
        pass
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
place = ctypes.create_string_buffer(8)
here, there = Vector(ctypes.addressof(place), 8), Vector(0x10000, 8)
if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) >= 0 or ctypes.get_errno() == 14: # EFAULT
    done.append("process_vm_readv")
if libc.ptrace(16, pid, 0, 0) == 0: # PTRACE_ATTACH
    os.waitpid(pid, 0)
    libc.ptrace(17, pid, 0, 0)
    done.append("ptrace")
process.send_signal(number)
try:
    status = process.wait(5)
except subprocess.TimeoutExpired:
    process.kill()
    status = process.wait()
if status != -number:
    done.append(f"not ended by {sys.argv[1]} ({status})")
cores = [path for path in pathlib.Path(".").rglob("core*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
if cores:
    done.append("core")
    for path in cores:
        path.unlink()
print(*done)
PY
step "what keeps no secrets can be read and leaves a core: this shows what is tried"
echo x >begun
control=$(python3 hold.py SIGSEGV begun /bin/sleep 10)
echo "$control"
for way in mem environ process_vm_readv ptrace; do expect_true "$way works" grep -qw "$way" <<<"$control"; done
grep -qw core <<<"$control" || echo "cores go elsewhere here ($(cat /proc/sys/kernel/core_pattern)), or nowhere ($(ulimit -H -c)): that there is none shows nothing"

step "a server, its backup, and a repository that is encrypted, behind a store that does not answer"
fault_server faults
key_write key
cat >ask <<ASK
#!/bin/sh
echo asked >>$T/faults/requests
exec sleep 20
ASK
chmod 755 ask
config_write "encryption_key_file = $T/key
keep_last = 1"
sed -i '/^ca_file/d' "$CONFIG"
server_create main --wal-segsize=1
server_start main
expect_status 0 repository-init
expect_status 0 basebackup-push --checkpoint=fast
archived main
name=$(sql main "select pg_walfile_name(pg_switch_wal())")
sed "s|^encryption_key_file.*|encryption_key_file = $T/not-there.key\nkey_command = $T/ask|" "$CONFIG" >asking.conf
{ cat "$CONFIG" && printf '[repository copy]\nurl = file://%s\n' "$T/copy.d"; } >two.conf
chmod 600 asking.conf two.conf
expect_status 0 repository-init --config "$T/two.conf" --repository copy
signals=(SIGSEGV SIGABRT SIGBUS SIGFPE SIGILL SIGTRAP SIGSYS)
kept_row() { # WHEN PROGRAM...
    local signal=${signals[(rows + SEED) % ${#signals[@]}]} found
    script "$1 * 1 - hang=answer"
    rm -rf state/cluster-*
    # shellcheck disable=SC2086
    found=$(python3 hold.py "$signal" faults/requests ${2//@T/$T}) || fail "$(tail -5 said.log)"
    echo "$signal"
    expect_equal "what could be read or done" "" "$found"
}
table kept_row <<TABLE
GET | wal-push --verbose @T/main/pg_wal/$name
GET | wal-fetch --verbose $name @T/fetched
GET | repository-init --verbose
GET | repository-check --verbose
GET | repository-sync --verbose --config @T/two.conf --from here --to copy
GET | repository-key list --verbose
none | repository-key unlock --verbose --config @T/asking.conf
GET | basebackup-push --verbose --checkpoint=fast
GET | basebackup-fetch --verbose -D @T/restored
GET | basebackup-list --verbose
GET | basebackup-verify --verbose
GET | basebackup-expire --verbose
GET | basebackup-pin --verbose 20260101T000000Z-00000001-0000000002000028
GET | recovery-window --verbose
LIST | basebackup-list --verbose
PUT | basebackup-push --verbose --checkpoint=fast
TABLE
script
server_stop main
expect_rows 30
