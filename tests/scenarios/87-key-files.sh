#!/bin/bash
# goal: of several keys one that is missing, damaged or twice there stops only what needs it; a passphrase is asked for at a terminal, which is left as it was, and warned of is a key file on a disk
# stores: none
# limit: 200
. "$(dirname "$0")/../lib.sh"
. "$here/keys.sh"

segments_make 4
for name in a b c; do key_write "$name"; done
a=$(id_of a) b=$(id_of b) c=$(id_of c)

step "of several key files one is not there: what the others open is read and pushed; no epoch begins without it"
configure "$T/a, $T/none"
expect_status 1 repository-init
expect_output "key file \".*/none\" is not there, so what it holds would not open the new epoch"
expect_absent "$objects/keys" "$objects/cluster.json"
configure "$T/a"
expect_status 0 repository-init
configure "$T/none, $T/a"
expect_status 0 push "${segments[0]}"
expect_output "warning: there is no key file \".*/none\": only the key $a is used"
expect_fetched "${segments[0]}"
expect_status 1 repository-key rotate
expect_output "\".*/none\" is not there"
expect_equal "keys" "00000001.$a" "$(ls "$objects/keys")"
expect_status 1 repository-key add
expect_output "key of \".*/none\" was not added"
configure "$T/none, $T/nothing"
expect_status 1 push "${segments[0]}"
expect_output "error: there is no key file \".*/none\", \".*/nothing\""
(umask 077 && head -c 31 /dev/urandom >short)
configure "$T/a, $T/short"
expect_status 1 push "${segments[0]}" # that is no absence
expect_output "holds no key"

step "the same key in two files is one"
cp -p a again
configure "$T/a, $T/again"
expect_status 0 repository-key rotate
expect_output "epoch 2 has begun, for the key $a\$"
expect_status 0 push "${segments[1]}"
rm again

step "a key is added to all epochs but the one that nothing here opens, which is named"
configure "$T/a, $T/b"
expect_status 0 repository-key rotate # epoch 3, also for b
configure "$T/b"
expect_status 0 repository-key rotate # epoch 4, for b alone
expect_output "key $a opens epoch 3 and will not open epoch 4"
expect_status 0 push "${segments[2]}"
configure "$T/b, $T/a"
expect_status 0 repository-key rotate # epoch 5
rm "$objects/keys/00000003.$b"
configure "$T/a, $T/c"
expect_status 1 repository-key add
expect_output "no configured key \($a, $c\) opens epoch 4"
expect_output "key $c does not open epoch 4 of"
expect_output "key $c opens 4 more epochs, but not all"
expect_output "key $a does not open epoch 4 of"
expect_equal "epochs of c" "1 2 3 5" "$(find "$objects/keys" -name "*.$c" -printf '%f\n' | sort | sed 's/^0*\([0-9]*\).*/\1/' | paste -sd' ')"
configure "$T/c, $T/b"
for i in 0 1 2; do expect_fetched "${segments[i]}"; done

# document_alter DOCUMENT TO COMMANDS: a document of keys/ or cluster.json, altered by Python that knows it as d; rewrap(d, KEY-FILE): it
# holds another epoch's key then
document_alter() {
    python3 -B - "$SOURCE/docs" "$@" <<'PY'
import hashlib, importlib.machinery, importlib.util, json, os, sys
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
loader = importlib.machinery.SourceFileLoader("tool", sys.argv[1] + "/walferry-decrypt")
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("tool", loader))
loader.exec_module(tool)
def rewrap(d, file):
    key = open(file, "rb").read()
    associated = f"walferry wrap 1 {d['epoch']} {tool.key_id(key)}".encode()
    d["wrapped"] = AESGCM(tool.hkdf(key, b"", "walferry wrap 1")).encrypt(bytes.fromhex(d["nonce"]), os.urandom(32), associated).hex()
d = json.load(open(sys.argv[2]))
del d["sha256"]
exec(sys.argv[4])
text = json.dumps(d, separators=(",", ":"))[:-1]
open(sys.argv[3], "w").write(text + ',"sha256":"%s"}\n' % hashlib.sha256(text.encode()).hexdigest())
PY
}
step "a document of another key under the current epoch is found, and which one is right"
cp "$objects/keys/00000005.$a" right
document_alter "$objects/keys/00000005.$c" "$objects/keys/00000005.$c" "rewrap(d, '$T/c')"
configure "$T/b, $T/c"
expect_status 1 repository-key add
expect_output "00000005.$c\" .*holds another key than that of epoch 5 in cluster.json"
expect_output "hint: .*cluster.json names is opened by the key $b\. Move that object"
rm "$objects/keys/00000005.$c"
expect_status 0 repository-key add

step "a document of an older epoch that is damaged, or of another key, opens nothing, whatever its name says"
configure "$T/a, $T/c"
cp "$objects/keys/00000001.$c" old
: >"$objects/keys/00000001.$c"
expect_status 1 repository-key add
expect_output "warning: \"keys/00000001.$c\" opens nothing; epoch 1 is opened by the key $a"
expect_output "key $c does not open epoch 1 of"
document_alter old "$objects/keys/00000001.$c" "rewrap(d, '$T/c')"
expect_status 1 repository-key add
expect_output "\"keys/00000001.($a|$c)\" and \"keys/00000001.($a|$c)\" .*hold different keys"
cp old "$objects/keys/00000001.$c"

step "cluster.json is altered: nothing in keys/ is called wrong, and nothing is to be removed"
cp "$objects/cluster.json" cluster.json
configure "$T/b"
expect_status 0 repository-key add --passphrase-fd 3 3<<<"once"
document_alter cluster.json "$objects/cluster.json" "d['epoch_id'] = '0123456789abcdef'"
configure "$T/once"
expect_status 1 repository-key unlock --passphrase-fd 3 3<<<"once"
expect_output "holds another key than that of epoch 5 in cluster.json"
expect_output "hint: cluster.json may be an old or altered one.* remove and move nothing"
expect_absent once
cp cluster.json "$objects/cluster.json"

step "a key from a passphrase stays one, also where its newest document does not tell"
expect_status 0 repository-key unlock --passphrase-fd 3 3<<<"once"
once=$(id_of once)
document_alter "$objects/keys/00000005.$once" "$objects/keys/00000005.$once" "del d['scrypt']"
rm "$objects/keys/00000004.$once"
configure "$T/b, $T/once"
expect_status 0 repository-key add
expect_status 0 repository-key rotate # epoch 6
for epoch in 4 6; do expect_true "scrypt in epoch $epoch" grep -q '"scrypt"' "$objects/keys/0000000$epoch.$once"; done
rm "$objects"/keys/*."$once"

step "a list that lags behind what was just stored stops no rotation"
configure "$T/b"
echo "<ListBucketResult><Name>$S3_BUCKET</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>" >none.xml
script "LIST */keys/ 2 1 status=200 body=$T/none.xml"
expect_status 0 repository-key rotate # epoch 7
expect_requests 3 "LIST .*/keys/"
script "LIST */keys/ 2 9 status=200 body=$T/none.xml"
expect_status 0 repository-key rotate # epoch 8
expect_output "warning: the list of keys/ .*does not show yet"
script

step "a document that another has overwritten (no If-None-Match): no epoch begins, and it is left alone"
document_alter "$objects/keys/00000008.$b" anothers "d['epoch'] = 9; rewrap(d, '$T/b')"
cp "$objects/cluster.json" cluster.json
script "GET */keys/00000009.$b 1 1 swap=$T/anothers"
expect_status 1 repository-key rotate
expect_output "somebody else has just begun epoch 9"
script
expect_same "cluster.json" cluster.json "$objects/cluster.json"
expect_same "the other's document" anothers "$objects/keys/00000009.$b"
rm "$objects/keys/00000009.$b"

step "an object that nobody's rotation has made stands in the way of all epochs: it is named"
: >"$objects/keys/99999999.0123456789abcdef"
expect_status 1 repository-key rotate
expect_output "used up"
expect_output "hint: There is \"main/keys/99999999.0123456789abcdef\", and cluster.json names epoch 8"
rm "$objects/keys/99999999.0123456789abcdef"
expect_status 0 push "${segments[3]}"
expect_equal "epoch" 8 "$(epoch_of "${segments[3]}")"

step "list needs no key; one that can't be read is told"
configure "$T/none"
expect_status 0 repository-key list
expect_output "epoch 8 \(current\), key $b"
expect_output "warning: there is no key file"
configure "$T/short"
expect_status 1 repository-key list
expect_output "epoch 8 \(current\), key $b"

step "accept: of several repositories one is named; what is read as it was has no newest epoch"
configure "$T/b" "[repository there]
url = s3://$S3_BUCKET/elsewhere
encryption_key_file = $T/b"
expect_status 2 repository-key accept
expect_output "hint: .*accept --repository NAME"
expect_status 0 repository-key accept --repository here
script "set versions on"
configure "$T/b"
expect_status 0 repository-key rotate # epoch 9
configure "$T/b" "as_of = 2099-01-01 00:00:00+00"
expect_status 1 repository-key accept
expect_output "read as it was \(as_of\)"
! grep -q "is the newest" <<<"$output" || fail "it was accepted"
script

step "docs/walferry-decrypt goes on behind a document that is damaged, and says which"
: >"$objects/keys/00000003.$a"
sed 's/"wrapped":"..../"wrapped":"0000/' right >"$objects/keys/00000005.$a"
expect_status 1 "$SOURCE/docs/walferry-decrypt" --key a --key b --key c "$objects" "$T/open"
expect_output "00000003.$a: "
expect_output "00000005.$a: .*does not open it"
expect_status 1 "$SOURCE/docs/walferry-decrypt" --key short "$objects" "$T/open"
expect_output "short: it holds no key"
! grep -q Traceback <<<"$output" || fail "a traceback"
for i in 0 1 2; do
    lz4 -dcq "open/$system/wal/0000000100000000/${segments[i]}" >plain
    expect_same "segment" "main/pg_wal/${segments[i]}" plain
done
cp right "$objects/keys/00000005.$a"

# at_terminal SECRET KEYS COMMAND...: with a terminal of its own, which hears KEYS at each question ("^C" and the like are keys). $output
# has what it showed, the exit status, and whether it echoes afterwards. Nothing of SECRET may be shown.
at_terminal() {
    output=$(timeout 60 python3 - "$@" <<'PY'
import os, pty, re, select, sys, termios, time
secret, keys, command = sys.argv[1], sys.argv[2].encode(), sys.argv[3:]
main, side = pty.openpty()
pid = os.fork()
if pid == 0:
    os.setsid()
    import fcntl
    fcntl.ioctl(side, termios.TIOCSCTTY, 0)
    for fd in 0, 1, 2:
        os.dup2(side, fd)
    os.execvp(command[0], command)
shown, asked, end = b"", 0, time.monotonic() + 50
while time.monotonic() < end:
    if select.select([main], [], [], 0.1)[0]:
        shown += os.read(main, 4096)
    if len(re.findall(rb"(?:Passphrase|once more): ", shown)) > asked:
        asked += 1
        if termios.tcgetattr(side)[3] & termios.ECHO:
            print("it echoes while it asks")
        os.write(main, keys)
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        break
else:
    os.kill(pid, 9)
    status = -1
while select.select([main], [], [], 0.1)[0]:
    shown += os.read(main, 4096)
print(shown.decode(errors="replace").replace("\r", ""))
print("status", status if status < 0 else f"signal {status & 127}" if status & 127 else status >> 8)
print("echo", "on" if termios.tcgetattr(side)[3] & termios.ECHO else "off")
if secret and secret.encode() in shown:
    print("the secret was shown")
PY
    ) || fail "at_terminal"
    printf '$ %s at a terminal\n%s\n' "${*:3}" "${output//$T\//}"
    ! grep -Eq "secret was shown|echoes while" <<<"$output" || fail "a passphrase was seen"
    grep -q "^echo on" <<<"$output" || fail "the terminal does not echo any more"
}
step "a passphrase is asked for at the terminal, unseen, twice for a new one; the terminal is as it was, also behind Ctrl-C"
configure "$T/b"
at_terminal "horse battery" $'horse battery\n' repository-key add --passphrase
expect_output "^status 0"
expect_output "opens all epochs now"
at_terminal "" $'\x03' repository-key add --passphrase
expect_output "^status signal 2"
at_terminal "other" $'oth\x1c\x1aer\n' repository-key add --passphrase # Ctrl-\ and Ctrl-Z: characters like others
expect_output "^status 0"
configure "$T/derived"
at_terminal "wrong horse" $'wrong horse\n' repository-key unlock --passphrase
expect_output "^status 1"
expect_output "passphrase is not one of repository"
at_terminal "" $'\n' repository-key unlock --passphrase
expect_output "^status 1"
expect_output "passphrase is empty"
at_terminal "" $'\x03' repository-key unlock --passphrase
expect_output "^status signal 2"
expect_absent derived
at_terminal "horse battery" $'horse battery\n' repository-key unlock --passphrase
expect_output "^status 0"
for i in 0 1 2; do expect_fetched "${segments[i]}"; done
expect_status 1 setsid -w repository-key add --passphrase
expect_output "there is no terminal to ask"

step "unlock warns of a disk, not of memory"
on_disk() { [ "$(stat -f -c %T "$1")" != tmpfs ] && [ "$(stat -f -c %T "$1")" != ramfs ]; }
memory=$(mktemp -d /dev/shm/walferry.XXXXXX)
trap 'status=$?; set +e; trap - ERR; rm -rf "$memory"; (exit $status); clean_up' EXIT
for place in "$T" "$memory"; do
    rm -f "$place/derived"
    configure "$place/derived"
    expect_status 0 repository-key unlock --passphrase-fd 3 3<<<"horse battery"
    if on_disk "$place"; then expect_output "warning: .*derived\" is on a disk"
    else ! grep -q "on a disk" <<<"$output" || fail "$place is in memory"; fi
done
