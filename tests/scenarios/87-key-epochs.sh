#!/bin/bash
# goal: nothing is encrypted in an epoch older than the newest that a host has seen, whatever cluster.json says; of a repository that was made anew nothing is lost without a word; an object without a key is told rightly
# stores: none
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/keys.sh"

segments_make 12
key_write a && key_write b
a=$(id_of a) b=$(id_of b)
later() { touch -d '2 hours ago' state/cluster-*.json; } # what is remembered of cluster.json is asked for again
expect_not() { # extended regular expression that is not in $output
    ! grep -Eiq -- "$1" <<<"$output" || fail "expected no message like \"$1\", found \"$output\""
}
keeps() { # KEY-FILES MESSAGE: too much waits, and on_full = drop; but no store can mend this, so nothing is let go of
    configure "$1" $'[wal-push]\nqueue_limit = 1MB\non_full = drop\nahead = 0'
    touch main/pg_wal/archive_status/"${segments[10]}".ready main/pg_wal/archive_status/"${segments[11]}".ready
    rm -f state/push-failed-*
    expect_status 1 push "${segments[10]}"
    expect_output "$2"
    expect_not "LET GO OF"
    rm main/pg_wal/archive_status/*.ready
}

step "an old cluster.json is put back: nothing is encrypted in its epoch, all is read; rotation begins one behind all"
configure "$T/a"
expect_status 0 repository-init
expect_status 0 push "${segments[0]}"
cp "$objects/cluster.json" first.json
expect_status 0 repository-key rotate
expect_status 0 push "${segments[1]}"
cp first.json "$objects/cluster.json"
expect_status 0 push "${segments[2]}" # what is remembered is younger than an hour
expect_equal "epochs" "1 2 2" "$(for i in 0 1 2; do epoch_of "${segments[i]}"; done | paste -sd' ')"
later
touch -d '400 days ago' state/epoch-*.json
expect_status 1 push "${segments[3]}"
expect_output "names key epoch 1, and epoch 2 had begun"
expect_output "repository-key rotate"
expect_output "repository-key rotate --repository here., as this user"
expect_output "repository-key accept --repository here"
expect_absent "$(object_of "${segments[3]}")"
keeps "$T/a" "epoch 2 had begun"
keeps "$T/b" "no configured key"
keeps "$T/none" "there is no key file"
configure "$T/a"
expect_status 1 repository-check
expect_output "names another key epoch than the newest"
expect_status 1 repository-init --probe
expect_output "epoch 2 had begun"
expect_same "cluster.json" first.json "$objects/cluster.json"
expect_status 1 basebackup-verify --full # its report
expect_output "epoch 2 had begun"
for i in 0 1 2; do expect_fetched "${segments[i]}"; done
rm "$objects/keys/00000002.$a" # who can put back can remove, too
expect_status 0 repository-key rotate
expect_output "epoch 3 has begun"
expect_status 0 push "${segments[3]}"
expect_equal "epoch" 3 "$(epoch_of "${segments[3]}")"
expect_fetched "${segments[3]}"
expect_equal "mode" 600 "$(stat -c %a state/epoch-*.json)"
sed -i 's/"epoch":3/"epoch":9/' state/epoch-*.json # a disk fault
expect_status 0 push "${segments[3]}"
expect_output "warning: .*state/epoch-.* is damaged"
expect_status 0 push "${segments[3]}"
expect_not "damaged"

step "what is right, though it is older, is accepted by hand, and only so"
cp first.json "$objects/cluster.json"
expect_status 0 repository-key accept
expect_output "epoch 1 is the newest"
expect_status 0 push "${segments[4]}"
expect_equal "epoch" 1 "$(epoch_of "${segments[4]}")"
expect_status 0 repository-key rotate
expect_output "epoch 4 has begun"
later
expect_status 0 push "${segments[5]}"
expect_equal "epoch" 4 "$(epoch_of "${segments[5]}")"

step "cluster.json is read while another process of this host begins an epoch: it is read once more"
later
script "GET */cluster.json 1 1 status=200 body=$T/first.json"
expect_status 0 push "${segments[9]}"
expect_requests 2 "GET .*/cluster.json"
expect_equal "epoch" 4 "$(epoch_of "${segments[9]}")"
script

step "who replaces cluster.json finds what has changed since it was read"
cp "$objects/cluster.json" fourth.json
expect_status 0 repository-key rotate
cp "$objects/cluster.json" fifth.json
for command in "repository-init --probe" "repository-key rotate"; do
    cp fourth.json "$objects/cluster.json"
    HOST=other configure "$T/a" # one that has not seen the fifth
    rm -rf other
    script "GET */cluster.json 2 1 swap=$T/fifth.json"
    # shellcheck disable=SC2086
    expect_status 1 $command
    expect_output "was changed by somebody else meanwhile"
    expect_same "cluster.json" fifth.json "$objects/cluster.json"
    script
    # shellcheck disable=SC2086
    expect_status 0 $command
done

step "two that rotate at once, with different keys: one epoch begins, or none"
configure "$T/a, $T/b"
expect_status 0 repository-key add
current=$(sed -n 's/.*"epoch":\([0-9]*\).*/\1/p' "$objects/cluster.json")
script "LIST */keys/ 1 2 delay=1500"
began=0 pids=()
for key in a b; do
    HOST=host.$key configure "$T/$key"
    cp "$CONFIG" "$key.conf"
    repository-key rotate --config "$T/$key.conf" >"rotate.$key" 2>&1 &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" && began=$((began + 1)); done || true
cat rotate.a rotate.b
script
expect_true "at most one began" test "$began" -le 1
now=$(sed -n 's/.*"epoch":\([0-9]*\).*/\1/p' "$objects/cluster.json")
expect_true "epochs $current, $now" test "$now" = $((current + began))
expect_equal "documents of the next" "$began" "$(find "$objects/keys" -name "$(printf %08d $((current + 1))).*" | wc -l)"

# HOST=... configure KEYS before each
made_anew() { # by repository-init of the configuration, at a bucket that was emptied
    rm -rf "$objects"
    expect_status 0 repository-init
}
step "emptied and made anew by the archiver's user: the next push is of the new one"
configure "$T/a"
rm -rf state
made_anew
expect_output "encrypted \(epoch 1,"
expect_status 0 push "${segments[0]}"
made_anew
expect_output "encrypted \(epoch 2,"
expect_status 0 push "${segments[0]}"
rm -rf other && HOST=other configure "$T/a"
expect_fetched "${segments[0]}"

step "by root, who takes away what the archiver remembers"
configure "$T/a"
chmod 750 state # as another's: it is not believed, and can be written to
made_anew
expect_output "encrypted \(epoch 1,"
chmod 700 state
expect_status 0 push "${segments[1]}"
rm -rf other && HOST=other configure "$T/a"
expect_fetched "${segments[1]}"

step "by another user: it is said; what was encrypted with the key before is not lost on this host, and archiving ends"
configure "$T/a"
chmod 555 state
made_anew
expect_output "is another user's, and stays"
expect_output "repository-key accept"
chmod 700 state
expect_status 0 push "${segments[2]}" # with the key of the one before
later
expect_status 1 push "${segments[3]}"
expect_output "names another key epoch 1 than before"
expect_output "repository-key accept"
expect_fetched "${segments[2]}"
expect_status 0 repository-key accept
expect_status 0 push "${segments[3]}"
expect_fetched "${segments[3]}"
expect_fetched "${segments[2]}"
rm -rf other && HOST=other configure "$T/a"
expect_fetched "${segments[3]}"
expect_status 200 wal-fetch "${segments[2]}" "$T/fetched"
expect_output "another key than its epoch has here"

step "by another host, which has rotated since: it is said"
rm -rf other
made_anew
expect_status 0 repository-key rotate
configure "$T/a"
expect_status 0 push "${segments[4]}"
later
script "GET */keys/00000002.* 1 - status=403 code=AccessDenied"
expect_status 1 push "${segments[5]}"
script "GET */keys/00000001.* 1 - status=403 code=AccessDenied" # from here on cluster.json is remembered
expect_status 0 push "${segments[5]}"
expect_not "made anew"
script
expect_status 0 push "${segments[6]}"
expect_output "has no key of epoch 1, which was the newest here: it was made anew"
expect_output "Take a base backup now"
expect_status 0 push "${segments[6]}"
expect_not "made anew"
expect_status 0 repository-key rotate
later
expect_status 0 push "${segments[7]}"
expect_not "made anew"

step "an epoch that another host has begun, with a key that is not here: that is no damage"
rm -rf other && HOST=other configure "$T/a, $T/b"
expect_status 0 repository-key add
HOST=other configure "$T/b"
expect_status 0 repository-key rotate
expect_status 0 push "${segments[8]}"
configure "$T/a"
expect_status 200 wal-fetch "${segments[8]}" "$T/fetched"
expect_output "is encrypted with epoch 4, which no configured key \($a\) opens"
expect_output "opened by the key $b"
expect_not "damaged"
expect_status 1 push "${segments[8]}" # by what it remembers of cluster.json
expect_output "no configured key"
expect_not "damaged"

step "an epoch or its id that are altered: that is damage"
flip() { # SEGMENT OFFSET
    python3 - "$(object_of "$1")" "$2" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
for at in int(sys.argv[2]), len(data) - 64 + int(sys.argv[2]):
    data[at] ^= 64
open(sys.argv[1], "wb").write(data)
PY
}
configure "$T/a, $T/b" # the epoch's two keys: with one of them alone, the other's document might hold the other key
for row in "16|names a key epoch that has no key in keys/" "22|another key than its epoch has here"; do
    flip "${segments[7]}" "${row%%|*}"
    expect_status 200 wal-fetch "${segments[7]}" "$T/fetched"
    expect_output "damaged: .*${row#*|}"
    expect_status 1 push "${segments[7]}"
    expect_output "damaged: .*${row#*|}"
    flip "${segments[7]}" "${row%%|*}"
done
expect_fetched "${segments[7]}"

step "rotation by another user than the archiver: it is said that he follows later"
configure "$T/b"
chmod 555 state
expect_status 0 repository-key rotate
expect_output "goes on with the epoch before for up to an hour"
chmod 700 state

step "what is remembered of a key stays where it can't be had anew"
configure "$T/b"
for file in state/key-*; do echo "{" >"$file"; done
find state -name 'key-*' | sort >remembered
script "GET */keys/* 1 - status=403 code=AccessDenied"
expect_status 1 push "${segments[9]}"
find state -name 'key-*' | sort >remembered.now
expect_same "what is remembered" remembered remembered.now
script
expect_status 0 push "${segments[9]}"
expect_true "anew" grep -q wrapped state/key-*

step "a rotation for another key than opens the epoch before: that is no other repository"
rm -rf state other
configure "$T/a"
made_anew
expect_status 0 push "${segments[0]}"
HOST=other configure "$T/a, $T/b"
expect_status 0 repository-key rotate
configure "$T/b"
later
expect_status 0 push "${segments[1]}"
expect_equal "epoch" 2 "$(epoch_of "${segments[1]}")"
expect_not "made anew"
cp "$objects/cluster.json" second.json

step "a document that a rotation has left behind in another's epoch: what is sealed in that is not damaged"
cp -r "$objects" kept
HOST=third configure "$T/b"
expect_status 0 repository-key rotate
cp "$objects/keys/00000003.$b" dead
rm -rf "$objects"
mv kept "$objects"
HOST=other configure "$T/a"
expect_status 0 repository-key rotate
expect_status 0 push "${segments[2]}"
cp dead "$objects/keys/00000003.$b"
configure "$T/b"
expect_status 200 wal-fetch "${segments[2]}" "$T/fetched"
expect_output "is encrypted with epoch 3, which no configured key \($b\) opens"
expect_output "opened by the key $a:"
expect_not "damaged"
later
expect_status 1 push "${segments[3]}"
expect_output "document of the key $b in keys/ of epoch 3 holds another key than cluster.json names"

step "accept, while a push of another epoch is at work: what the user said stays"
configure "$T/a"
expect_status 0 push "${segments[3]}"
HOST=other configure "$T/a"
expect_status 0 repository-key rotate
configure "$T/a"
later
script "GET */keys/00000003.* 1 1 delay=2000"
push "${segments[4]}" 2>pushed &
wait_until 10 "the push" grep -q "keys/00000004" "$T/faults/requests"
sleep 0.5
cp second.json "$objects/cluster.json"
expect_status 0 repository-key accept
expect_output "epoch 2 is the newest"
wait $! || fail "$(cat pushed)"
expect_true "epoch 2" grep -q '"epoch":2' state/epoch-*.json

step "what opens the current epoch is gone, or damaged: the others are read all the same"
rm -rf state
configure "$T/a"
cp "$objects/keys/00000002.$a" second.key
rm "$objects/keys/00000002."* # where another key is left, its file is asked for
for _ in gone damaged; do
    expect_status 0 basebackup-list
    expect_output "only what other epochs than 2 have sealed"
    expect_fetched "${segments[0]}"
    expect_status 1 push "${segments[5]}"
    expect_absent "$(object_of "${segments[5]}")"
    echo "{" >"$objects/keys/00000002.$a"
done
cp second.key "$objects/keys/00000002.$a"
expect_fetched "${segments[1]}"
