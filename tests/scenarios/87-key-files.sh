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

step "a document of another key under the current epoch is found"
cp "$objects/keys/00000005.$a" right
python3 - "$SOURCE/docs" "$T/c" "$objects/keys/00000005.$c" <<'PY'
import hashlib, importlib.machinery, importlib.util, json, os, sys
sys.dont_write_bytecode = True
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
loader = importlib.machinery.SourceFileLoader("tool", sys.argv[1] + "/walferry-decrypt")
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("tool", loader))
loader.exec_module(tool)
key = open(sys.argv[2], "rb").read()
document = json.load(open(sys.argv[3]))
del document["sha256"]
associated = f"walferry wrap 1 {document['epoch']} {tool.key_id(key)}".encode()
wrapped = AESGCM(tool.hkdf(key, b"", "walferry wrap 1")).encrypt(bytes.fromhex(document["nonce"]), os.urandom(32), associated)
document["wrapped"] = wrapped.hex()
text = json.dumps(document, separators=(",", ":"))[:-1]
open(sys.argv[3], "w").write(text + ',"sha256":"%s"}\n' % hashlib.sha256(text.encode()).hexdigest())
PY
configure "$T/b, $T/c"
expect_status 1 repository-key add
expect_output "00000005.$c\" .*holds another key than that of epoch 5 in cluster.json"
rm "$objects/keys/00000005.$c"
expect_status 0 repository-key add

step "docs/walferry-decrypt goes on behind a document that is damaged, and says which"
: >"$objects/keys/00000003.$a"
sed 's/"wrapped":"..../"wrapped":"0000/' right >"$objects/keys/00000005.$a"
expect_status 1 "$SOURCE/docs/walferry-decrypt" --key a --key b --key c "$objects" "$T/open"
expect_output "00000003.$a: "
expect_output "00000005.$a: .*does not open it"
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
