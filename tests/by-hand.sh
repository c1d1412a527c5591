# by-hand.sh: the commands of docs/recover-by-hand.md, as they stand there; sourced behind lib.sh.

by_hand_read() { # into block.1, block.2, ...
    awk '/^```sh$/ { on = 1; n++; next } /^```$/ { on = 0 } on { print > ("block." n) }' "$SOURCE/docs/recover-by-hand.md"
    count=$(find . -maxdepth 1 -name 'block.*' | wc -l)
    expect_true "at least eight blocks, not $count" test "$count" -ge 8
}
# by_hand NAME TIME: all blocks in one shell, for backup $id in the directory $repository; before the last, which starts the
# server, what the page says of a copy beside the original.
by_hand() {
    mkdir -p "run/$1"
    cat $(seq -f 'block.%g' $((count - 1))) - "block.$count" >"$1.sh" <<COPY
printf "unix_socket_directories = '%s'\n" "$T/run/$1" >>"\$DIR/postgresql.auto.conf"
COPY
    REPO=$repository/main/$system BACKUP=$id DIR=$T/$1 TS=$T/$1.tablespaces TIME=$2 expect_status 0 bash -eux "$1.sh"
}
