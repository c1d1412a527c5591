#!/bin/bash
# goal: keys of an encrypted repository: made, missing, wrong, several, rotated, from a passphrase and a command; a repository is never half encrypted; a push stays one PUT
# stores: none
# limit: 400
. "$(dirname "$0")/../lib.sh"
. "$here/keys.sh"

segments_make 8
expect_refused() { # what needs the key
    local message=$1
    expect_status 1 push "${segments[7]}"
    expect_output "$message"
    expect_status 1 basebackup-list
    expect_output "$message"
    expect_absent "$objects/$system/wal/0000000100000000/${segments[7]}"
}

passphrase="correct horse battery staple" wrong_passphrase="incorrect horse"
secret "the passphrase" "$passphrase" "$wrong_passphrase"
secret_place 'private:*.key'

step "key files: made by generate, never replaced; what is no key, or others can read, is refused"
configure "$T/a.key, $T/b.key"
expect_status 1 repository-init
expect_output "there is no key file \".*a.key\""
expect_status 0 repository-key generate
expect_output "made key $(id_of a.key) in \".*a.key\""
expect_output "made key $(id_of b.key) in \".*b.key\""
expect_equal "mode" "600 600" "$(stat -c %a a.key b.key | paste -sd' ')"
sha256sum a.key b.key >keys.sum
expect_status 0 repository-key generate
sha256sum -c --quiet keys.sum
for name in a b; do secret_in "the key $name" $name.key; done
a=$(id_of a.key) b=$(id_of b.key)

chmod 604 a.key
expect_status 1 repository-init
expect_output "a.key"
chmod 600 a.key
configure "$T/short.key"
(umask 077 && head -c 31 /dev/urandom >short.key)
expect_status 1 repository-init
expect_output "holds no key: it is 31 bytes long"
configure "a.key"
expect_status 2 repository-init
expect_output "absolute path"
expect_absent "$objects"

step "a repository is made; a push is one PUT, a duplicate one ranged GET, a fetch one GET"
configure "$T/a.key"
expect_status 0 repository-init
expect_output "encrypted \(epoch 1, key $a\)"
expect_equal "keys" "00000001.$a" "$(ls "$objects/keys")"
expect_status 0 push "${segments[0]}"
script
expect_status 0 push "${segments[1]}"
expect_equal "requests" "PUT" "$(cut -d' ' -f1 faults/requests | paste -sd' ')"
script
expect_status 0 push "${segments[1]}"
expect_equal "requests of a duplicate" 1 "$(requests "GET .*range=")"
expect_requests 1 "PUT"
expect_requests 2 ""
script
expect_fetched "${segments[1]}"
expect_equal "requests" "GET" "$(cut -d' ' -f1 faults/requests | paste -sd' ')"
expect_true "nothing is remembered in plain" test -z "$(grep -rlaF "$(head -c 20 a.key)" state || true)"

step "nothing of the content is readable: no name of a table, no hash"
expect_true "sealed" test "$(head -c 8 "$objects/$system/wal/0000000100000000/${segments[1]}")" = WALFSEAL
expect_equal "trailers" 0 "$({ grep -rlaE 'sha256|postgresql_version' "$objects/$system" || true; } | wc -l)"

step "no key, a wrong one, a plain repository: said, with the key's id, and nothing is stored"
configure ""
expect_refused "is encrypted, and the configuration has no encryption_key_file"
expect_output "opened by the key $a"
rm -f fetched
expect_status 200 wal-fetch "${segments[1]}" "$T/fetched"
expect_output "encrypted"
expect_absent fetched
configure "$T/b.key"
expect_refused "no configured key \($b\) opens its epoch 1"
expect_output "opened by the key $a"
expect_status 200 wal-fetch "${segments[1]}" "$T/fetched"
expect_absent fetched
cp "$objects/cluster.json" cluster.json
python3 - "$objects/cluster.json" <<'PY'
import hashlib, json, sys
document = json.load(open(sys.argv[1]))
del document["sha256"], document["epoch"], document["epoch_id"]
document["encryption"] = "none"
text = json.dumps(document, separators=(",", ":"))[:-1]
open(sys.argv[1], "w").write(text + ',"sha256":"%s"}\n' % hashlib.sha256(text.encode()).hexdigest())
PY
rm -rf state/*
configure "$T/a.key"
expect_refused "is not encrypted, but the configuration has an encryption_key_file"
cp cluster.json "$objects/cluster.json"

step "a second key, wrapped by the first; then it is enough alone"
configure "$T/a.key, $T/b.key"
expect_status 0 repository-key add
expect_output "key $b opens all epochs now"
expect_status 0 repository-key add
expect_output "key $b opens all epochs already"
configure "$T/b.key"
rm -rf state/*
expect_fetched "${segments[1]}"
expect_status 0 push "${segments[2]}"
expect_status 0 repository-key list
expect_output "epoch 1 \(current\), key $a"
expect_output "key $b, configured"

step "rotation: new objects are of the new epoch, the old ones are read, nothing is written anew"
configure "$T/a.key, $T/b.key"
find "$objects/$system" -type f -exec sha256sum {} + >before.sum
expect_status 0 repository-key rotate
expect_output "epoch 2 has begun"
sha256sum -c --quiet before.sum
expect_status 0 push "${segments[3]}"
expect_equal "epochs" "1 2" "$(epoch_of "${segments[2]}") $(epoch_of "${segments[3]}")"
for key in a b; do
    configure "$T/$key.key"
    rm -rf state/*
    expect_fetched "${segments[2]}"
    expect_fetched "${segments[3]}"
done

step "a passphrase: added, and unlocked into a key file; a wrong one is refused"
configure "$T/a.key"
expect_status 0 repository-key add --passphrase-fd 3 3<<<"$passphrase"
expect_status 0 repository-key list
expect_output "from a passphrase"
configure "$T/derived.key"
expect_status 1 push "${segments[4]}"
expect_output "repository-key unlock"
expect_status 1 repository-key unlock --passphrase-fd 3 3<<<"$wrong_passphrase"
expect_output "passphrase is not one of repository \"here\""
expect_absent derived.key
expect_status 0 repository-key unlock --passphrase-fd 3 3<<<"$passphrase"
expect_equal "mode" 600 "$(stat -c %a derived.key)"
secret_in "the key of the passphrase" derived.key
expect_status 0 push "${segments[4]}"
for ((i = 1; i < 5; i++)); do expect_fetched "${segments[i]}"; done
expect_status 0 repository-key unlock
expect_output "the key is there"

step "a command's output: run without a shell, without our secrets"
cat >command <<SH
#!/bin/sh
env >"$T/environment"
[ "\$1 \$2" = "two words" ] || exit 3
cat "$T/b.key"
SH
chmod 755 command
configure "$T/commanded.key" "key_command = $T/command two words"
secret "a secret of the environment" hidden-from-commands
AWS_SECRET_ACCESS_KEY=hidden-from-commands expect_status 0 repository-key unlock
cmp b.key commanded.key
expect_equal "secrets" 0 "$(grep -c hidden environment || true)"
expect_status 0 push "${segments[5]}"
rm commanded.key
configure "$T/commanded.key" "key_command = $T/command"
expect_status 1 repository-key unlock
expect_output "failed with exit status 3"
configure "$T/commanded.key" "key_command = /bin/cat $T/short.key"
expect_status 1 repository-key unlock
expect_output "output of key_command holds no key"
configure "$T/commanded.key" "key_command = /bin/cat $T/other.key"
(umask 077 && head -c 32 /dev/urandom >other.key)
expect_status 1 repository-key unlock
expect_output "key $(id_of other.key) does not open epoch 2"
expect_absent commanded.key

step "documents of keys: damaged, swapped, or of another epoch"
configure "$T/a.key"
one=$objects/keys/00000001.$a two=$objects/keys/00000002.$a
cp "$one" one && cp "$two" two
damaged() { # WHAT MESSAGE
    echo "-- $1"
    rm -rf state/*
    expect_status 1 push "${segments[6]}"
    expect_output "$2"
    cp two "$two"
}
cp one "$two" && damaged "that of another epoch" "is of epoch 1 and key $a"
sed 's/"wrapped":"\(.\)/"wrapped":"x/' two >"$two" && damaged "a letter" "SHA-256 does not match"
head -c 100 two >"$two" && damaged "cut" "is damaged"
: >"$two" && damaged "empty" "is damaged"
rm "$two" && damaged "gone" "no configured key \($a\) opens its epoch 2"
expect_status 0 push "${segments[6]}"

step "docs/walferry-decrypt reads it with any of the keys"
for key in a b derived; do
    "$SOURCE/docs/walferry-decrypt" --key "$key.key" "$objects" "$T/open.$key" || fail "walferry-decrypt"
    for ((i = 0; i < 7; i++)); do
        lz4 -dcq "open.$key/$system/wal/0000000100000000/${segments[i]}" >plain
        expect_same "segment" "main/pg_wal/${segments[i]}" plain
    done
done
if "$SOURCE/docs/walferry-decrypt" --key other.key "$objects" "$T/open.other"; then fail "it took another key"; fi

step "the test vectors of docs/encryption.md, by the script"
python3 -B - "$SOURCE/docs" <<'PY'
import hashlib, importlib.machinery, importlib.util, os, sys
loader = importlib.machinery.SourceFileLoader("tool", sys.argv[1] + "/walferry-decrypt")
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader("tool", loader))
loader.exec_module(tool)
lines = open(sys.argv[1] + "/encryption.md").read().split("## Test vectors")[1].splitlines()
values = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("sha256"))
values = {name.strip(): value.strip() for name, value in values.items()}
bytes_of = lambda name: bytes.fromhex(values[name])
assert tool.key_id(bytes_of("key")) == values["key id"]
assert tool.epoch_id(bytes_of("epoch key")) == bytes_of("epoch id")
document = {"epoch": 1, "nonce": values["wrap nonce"], "wrapped": values["wrapped"]}
assert tool.unwrap(document, bytes_of("key")) == bytes_of("epoch key")
epochs = {(1, bytes_of("epoch id")): bytes_of("epoch key")}
tool.Path("object").write_bytes(bytes_of("object"))
assert b"".join(tool.decrypt(tool.Path("object"), values["name"], epochs)) == bytes_of("content")
tool.os.urandom = lambda length: bytes_of("salt")
large = tool.encrypt(bytes(i % 251 for i in range(140000)), values["name"], 1, bytes_of("epoch key"))
told = next(line for line in lines if line.startswith("sha256")).rsplit("= ", 1)[1]
assert hashlib.sha256(large).hexdigest() == told
key = hashlib.scrypt(b"correct horse", salt=bytes(range(16)), n=16384, r=8, p=1, dklen=32)
assert key == bytes_of("its key")
PY

step "a document of one key that is damaged or gone hides no other key's"
configure "$T/a.key, $T/b.key"
for damage in ":" "rm -f"; do
    rm -rf state/*
    if [ "$damage" = : ]; then : >"$one"; else rm "$one"; fi
    expect_fetched "${segments[0]}"
done
cp one "$one"

step "rotation takes along what a passphrase makes, and says which keys it leaves out"
configure "$T/derived.key"
expect_status 0 repository-key rotate
expect_output "key $a opens epoch 2 and will not open epoch 3"
rm -rf derived.key state/*
expect_status 0 repository-key unlock --passphrase-fd 3 3<<<"$passphrase"
expect_status 0 push "${segments[7]}"
expect_fetched "${segments[7]}"
