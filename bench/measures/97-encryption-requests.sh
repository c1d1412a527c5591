# goal: no request more with an encrypted repository, and none with temporary credentials that are at hand: all that the server got
# stores: s3
requests() { sed -n "$((log_begin + 1)),\$ s/.*beast: .*\"\([A-Z]* [^ ]*\) HTTP.*/\1/p" "$(store_log)"; }
# The same with the credentials of a role: the first call asks for them, no other one does.
with_a_role() { # plain|encrypted
    sed "s|^access_key.*|access_key = $S3_GUEST_ACCESS_KEY|
        s|^secret_key.*|secret_key = $S3_GUEST_SECRET_KEY\nrole_arn = arn:aws:iam:::role/walferry|" "${walferry[1]}" >"$T/role.$1.conf"
    chmod 600 "$T/role.$1.conf"
    walferry=(--config "$T/role.$1.conf")
    push_counted "$1, a role's first push" "1 POST + 1 PUT"
    push_counted "$1, a role's next push" "1 PUT"
    fetch_counted "$1, a role's fetch" "1 GET"
}
push_counted() { # WHAT GOAL
    segment_forget walferry
    push_call walferry
    count "$1" "$2" "${command[@]}"
}
fetch_counted() { # WHAT GOAL
    rm -f lost/pg_wal/RECOVERYXLOG
    fetch_call walferry
    count "$1" "$2" "${command[@]}"
    expect_same "what was fetched" "main/pg_wal/$segment" lost/pg_wal/RECOVERYXLOG
}
all() {
    local who command place
    encryption_set_up main
    lost_make
    for who in plain encrypted; do
        as "$who"
        push_call walferry
        there "${command[@]}" # cluster.json, and the keys, are remembered now
        push_counted "$who, push" "1 PUT"
        push_call walferry
        count "$who, duplicate" "1 GET + 1 PUT" "${command[@]}"
        fetch_counted "$who, fetch" "1 GET"
        with_a_role "$who"
    done
}
