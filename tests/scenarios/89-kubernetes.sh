#!/bin/bash
# goal: the Kubernetes manifests are what the API's models allow and what a restricted namespace takes; what they run is there, their configuration is read, the daily backup comes at its time and ends when told to
# stores: none
. "$(dirname "$0")/../lib.sh"
manifests=$SOURCE/packaging/kubernetes
/usr/bin/python3 -c 'import kubernetes' 2>/dev/null || skip "python3-kubernetes is not installed"

step "each document, each field"
expect_status 0 "$here/manifests" check "$manifests"/*.yaml
expect_equal "documents" "$(cat "$manifests"/*.yaml | grep -c '^kind:')" "$(wc -l <<<"$output")"

step "what is wrong is found"
messages=()
wrong() { # SED-EXPRESSION MESSAGE
    messages+=("$2")
    sed "$1; s/name: walferry-restore/name: wrong-${#messages[@]}/" "$manifests/restore.yaml" >"wrong.${#messages[@]}.yaml"
}
wrong 's/allowPrivilegeEscalation/allowPrivilegEscalation/' "V1SecurityContext has no field"
wrong 's/backoffLimit: 0/backoffLimit: none/' "backoffLimit: 'none' is not int"
wrong 's/claimName/readOnly/' "claim_name.*must not be"
wrong "s/value: '2026\(.*\)'/value: 2026\1/" "is not str"
wrong '/^      volumes:/,$s/name: tmp$/name: temp/' "volumes that are not there"
wrong 's/drop: .*/drop: [CHOWN]/' "the container is not restricted"
wrong 's/runAsNonRoot: true/runAsNonRoot: false/' "the pod is not restricted"
wrong 's|batch/v1|batch/v2|' "there is no API batch/v2"
expect_status 1 "$here/manifests" check wrong.*.yaml
found=$output
for ((i = 1; i <= ${#messages[@]}; i++)); do
    output=$(grep "^Job/wrong-$i\b" <<<"$found")
    expect_output "${messages[i - 1]}"
done

step "the programs and options that they name"
for container in jobs.expire jobs.verify jobs.drill restore.fetch restore.configure; do
    mapfile -t words < <("$here/manifests" command "$manifests/${container%.*}.yaml" "${container#*.}")
    expect_status 0 "${words[0]}" --help
    for word in "${words[@]}"; do
        [[ $word != --* ]] || expect_true "${words[0]} has $word" grep -qw -- "${word%=*}" <<<"$output"
    done
done

step "the configuration is read to its end"
"$here/manifests" data "$manifests/cluster.yaml" walferry walferry.conf >walferry.conf
chmod 600 walferry.conf
expect_status 2 basebackup-list --repository nobody
expect_output "no repository .nobody."
expect_output "There is: offsite"

step "the server's settings"
"$here/manifests" data "$manifests/cluster.yaml" postgresql postgresql.conf >postgresql.conf
for setting in "archive_mode on" "archive_command /usr/bin/wal-push %p" "restore_command /usr/bin/wal-fetch %f %p"; do
    expect_equal "${setting%% *}" "${setting#* }" "$(postgres -C "${setting%% *}" -D "$T" -c config_file="$T/postgresql.conf" -c log_min_messages=error 2>postgres.log)"
done

step "backup-daily: at its time, again where it failed, at once where it was missed, ended with its backup"
"$here/manifests" data "$manifests/cluster.yaml" postgresql backup-daily >backup-daily
sed -i "s|/tmp/backups|$T/backups|g" backup-daily
mkdir bin
cat >bin/date <<SH
#!/bin/bash
now=\$(cat $T/clock)
[ "\$*" != "-u +%s" ] || { echo \$now; exit; }
exec /bin/date "\${@/today/\$(/bin/date -u -d @\$now +%F)}"
SH
cat >bin/sleep <<SH
#!/bin/bash
echo "sleep \$1" >>$T/calls
[ \$(wc -l <$T/calls) -lt 6 ] || exec /bin/sleep 60
echo \$((\$(cat $T/clock) + \$1)) >$T/clock
SH
cat >bin/basebackup-push <<SH
#!/bin/bash
echo push >>$T/calls
case \$(grep -c push $T/calls) in 1) exit \$(cat $T/first) ;; 3) exec /bin/sleep 60 ;; esac
SH
cat >bin/basebackup-list <<SH
#!/bin/bash
cat $T/list
exit 1 # one of the others is damaged
SH
chmod 755 bin/*
daily() { # TIME NEWEST FIRST WHAT N: until there are N calls of WHAT; NEWEST: the start of the newest backup, FIRST: the status of the first push
    /bin/date -u -d "2026-11-20 $1" +%s >clock
    printf '{"backups": [%s]}\n' "${2:+{\"start_time\": \"2026-11-18T02:00:00.000000Z\"\}, {\"start_time\": \"$2\"\}}" | sed 's/}, /},\n/' >list
    echo "$3" >first
    : >calls
    PATH=$T/bin:$PATH bash backup-daily 02:00 >backup-daily.log 2>&1 &
    pid=$!
    wait_until 20 "$5 calls: $4" eval "[ \"\$(grep -c '$4' calls)\" -ge $5 ]"
}
end_daily() {
    status=0
    kill -TERM $pid
    wait $pid || status=$?
    expect_equal "status" 143 $status
}
daily 00:00 2026-11-19T02:00:03.123456Z 1 push 3
expect_equal "calls" "sleep 7200 push sleep 900 push sleep 85500 push" "$(paste -sd' ' calls)"
push=$(pgrep -P $pid)
end_daily
expect_true "its backup was ended" test ! -d "/proc/$push"
daily 03:00 2026-11-20T02:00:03.123456Z 0 sleep 1
expect_equal "the first call where there is one of today" "sleep 82800" "$(head -1 calls)"
end_daily
daily 03:00 2026-11-19T02:00:03.123456Z 0 sleep 1
expect_equal "calls where the pod was away at 02:00" "push sleep 82800" "$(head -2 calls | paste -sd' ')"
end_daily
daily 03:00 '' 1 sleep 2
expect_equal "calls where there is none" "push sleep 900 push sleep 81900" "$(head -4 calls | paste -sd' ')"
end_daily

step "push-status: again and again, also where something is wrong"
"$here/manifests" data "$manifests/cluster.yaml" postgresql push-status >push-status
mapfile -t words < <("$here/manifests" command "$manifests/cluster.yaml" status)
url=${words[2]}
expect_status 0 walferry-status --help
expect_output "--pushgateway"
cat >bin/walferry-status <<SH
#!/bin/bash
echo "status \$*" >>$T/calls
exit 1
SH
cat >bin/sleep <<SH
#!/bin/bash
echo "sleep \$1" >>$T/calls
SH
chmod 755 bin/walferry-status
: >calls
PATH=$T/bin:$PATH bash push-status "$url" >push-status.log 2>&1 &
pid=$!
often() { [ "$(wc -l <calls)" -ge 6 ]; }
wait_until 20 "three times" often
kill -TERM $pid
status=0
wait $pid || status=$?
expect_equal "status" 143 $status
expect_equal "calls" "status --pushgateway $url,sleep 60,status --pushgateway $url" "$(head -3 calls | paste -sd,)"

[ -n "$FULL" ] || exit 0
step "the API's own schema, of Kubernetes 1.33, where npm can fetch it"
mkdir npm # not --prefix: the machine's own npmrc is below its prefix
(cd npm && HOME=$T npm install --no-audit --no-fund --ignore-scripts kubernetes-models@4.5.1) >npm.log 2>&1 || { tail -3 npm.log && skip "npm can't fetch the schema"; }
cat >validate.js <<'JS'
let bad = 0;
for (const document of JSON.parse(require("fs").readFileSync(0))) {
    const { [document.kind]: Model } = require(`${process.cwd()}/npm/node_modules/kubernetes-models/${document.apiVersion}/${document.kind}`);
    try {
        new Model(document).validate();
        console.log(`${document.kind} ${document.metadata.name}`);
    } catch (problem) {
        console.log(`${document.kind} ${document.metadata.name}: ${problem.message}`);
        bad = 1;
    }
}
process.exit(bad);
JS
validate() { # FILE...
    /usr/bin/python3 -c 'import json, sys, yaml; print(json.dumps([d for f in sys.argv[1:] for d in yaml.safe_load_all(open(f))], default=str))' "$@" | node validate.js
}
expect_status 0 validate "$manifests"/*.yaml
expect_equal "documents" "$(cat "$manifests"/*.yaml | grep -c '^kind:')" "$(wc -l <<<"$output")"
expect_status 1 validate wrong.2.yaml
expect_output "backoffLimit must be integer"
