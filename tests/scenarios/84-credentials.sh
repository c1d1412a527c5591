#!/bin/bash
# goal: every place credentials come from, what is wrong there said in plain words, temporary ones remembered, and no secret told
# stores: none
# limit: 300
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

step "a cluster, a store behind TLS, and who hands out temporary credentials"
cluster_create
authority ca && certificate server ca IP:127.0.0.1,DNS:localhost
fault_server faults server.pem
objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX
credential_server() { # NAME [CERTIFICATE]: its directory is $T/NAME; sets address
    mkdir -p "$T/$1"
    "$here/credential-server" "$T/$1" ${2:+"$2"} >>"$T/$1.log" 2>&1 &
    wait_until 20 "credential server $1" test -s "$T/$1/port"
    address=http${2:+s}://127.0.0.1:$(<"$T/$1/port")
}
credential_server secure server.pem && secure=$address
credential_server plain && plain=$address
arn=arn:aws:iam::1:role/walferry
identity=eyJhbGciOi-the-web-identity-token
echo "$identity" >identity
: >empty
mkdir home home/.aws
export HOME=$T/home
config_write $'connect_timeout = 1\nrequest_timeout = 5\n[wal-push]\ntimeout = 5'
script
expect_status 0 repository-init
name=$(S 3)
object=$objects/$(wal_key "$name")
cp "$CONFIG" keys.conf
sed '/^access_key\|^secret_key/d' keys.conf >bare.conf
unset S3_ENDPOINT

settings() { # [LINE...]: of both; the logs of requests begin anew
    local one
    for one in secure plain; do
        printf '%s\n' "identity $identity" "$@" >"$one/settings"
        : >"$one/requests"
    done
    : >"$T/faults/requests"
}
asked() { cat secure/requests plain/requests | grep -Ec "^(${1:-.*})" || true; } # [REGULAR-EXPRESSION]: so many requests
configure() { # LINES: with these in the section, parted by ";;"
    cp bare.conf way.conf
    [ "$1" = - ] || sed -i "/^endpoint/r "<(printf '%s\n' "${1//;;/$'\n'}") way.conf
    chmod 600 way.conf
}
profiles() { # LINES of ~/.aws/config, parted by ";;"
    printf '%s\n' "${1//;;/$'\n'}" >home/.aws/config
    chmod 600 home/.aws/config
}
keep_home() { rm -rf home/.aws/* && printf '[base]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$S3_ACCESS_KEY" "$S3_SECRET_KEY" >home/.aws/credentials &&
    chmod 600 home/.aws/credentials; }
secrets() { printf '%s\n' "$S3_SECRET_KEY" "$identity" -of-a-session token-of-the-metadata s3cr3t; }
mapfile -t words < <(secrets)
secret "a secret of the tables" "${words[@]}"
secret "what a proxy is told" user:s3cr3t
secret_place secure/settings plain/settings identity keys 'home/.aws/*'
# push STATUS VARIABLES: what it says holds no secret, whatever it was asked to say; nor do those who ask or forward know more.
push() {
    rm -f "$object"
    # shellcheck disable=SC2086
    (cd main && exec env WALFERRY_CONFIG="$T/way.conf" ${2/#-/} wal-push --verbose "pg_wal/$name") >said 2>&1 && status=0 || status=$?
    output=$(<said)
    sed 's/^/    /' said
    expect_equal "exit status" "$1" "$status"
    expect_equal "secrets in the messages" "" "$(grep -F "$(secrets)" said || true)"
    if [ "$1" = 0 ]; then expect_true "it is stored" test -s "$object"; else expect_absent "$object"; fi
}
says() { # MESSAGE, which may stand on two lines
    output=${output//$'\n'/ }
    [ "$1" = - ] || expect_output "$1"
}

# ---- each source

# STATUS, requests to those who hand out, message, section, profile file, environment, settings
way_row() {
    keep_home
    rm -rf state
    settings "${7:-}"
    configure "$4"
    [ "$5" = - ] || profiles "$5"
    push "$1" "$6"
    says "$3"
    expect_equal "requests" "$2" "$(asked)"
    [ "$1" = 0 ] && [ "$2" != 0 ] || return 0
    expect_equal "mode of what is remembered" "600" "$(stat -c %a state/credentials-*.json | sort -u)"
    settings "${7:-}"
    push 0 "$6"
    expect_equal "requests of the next call" 0 "$(asked)"
    expect_equal "its requests to the store" "PUT" "$(cut -d' ' -f1 faults/requests)"
}
cat >keys <<KEYS
#!/bin/sh
env >$T/environment
date >>$T/calls
printf '{"Version": %s, "AccessKeyId": "$S3_ACCESS_KEY", "SecretAccessKey": "$S3_SECRET_KEY"%s}' "\${1:-1}" "\$2"
KEYS
chmod 755 keys
keys_env="AWS_ACCESS_KEY_ID=$S3_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET_KEY"
imds="AWS_EC2_METADATA_SERVICE_ENDPOINT=$plain"
web="AWS_WEB_IDENTITY_TOKEN_FILE=$T/identity AWS_ROLE_ARN=$arn AWS_ENDPOINT_URL_STS=$secure"
off=AWS_EC2_METADATA_DISABLED=true
: >calls
step "each source: the first call asks, the second does not"
table way_row <<TABLE
# status | requests | message | section | profile file | environment | settings
0 | 0 | - | access_key = $S3_ACCESS_KEY;;secret_key = $S3_SECRET_KEY | - | AWS_ACCESS_KEY_ID=wrong AWS_SECRET_ACCESS_KEY=s3cr3t
0 | 0 | - | - | - | $keys_env
0 | 0 | - | credentials = environment | - | $keys_env AWS_PROFILE=nowhere
0 | 0 | - | profile = base | - | AWS_ACCESS_KEY_ID=wrong AWS_SECRET_ACCESS_KEY=s3cr3t
0 | 0 | - | credentials = shared | - | AWS_PROFILE=base AWS_ACCESS_KEY_ID=wrong AWS_SECRET_ACCESS_KEY=s3cr3t
0 | 1 | has credentials from role | - | - | $web
0 | 1 | - | role_arn = $arn;;web_identity_token_file = $T/identity;;sts_endpoint = $secure;;role_session_name = me;;role_duration = 900 | - | $off
0 | 1 | - | role_arn = $arn;;sts_endpoint = $secure/ | - | $keys_env
0 | 1 | - | role_arn = $arn;;sts_endpoint = $secure;;external_id = a/b=c;;profile = base | - | $off | external a/b=c
0 | 1 | - | profile = role;;sts_endpoint = $secure | [profile role];;role_arn = $arn;;source_profile = base;;external_id = x;;duration_seconds = 900 | $off | external x
0 | 1 | - | profile = role;;sts_endpoint = $secure | [profile role];;role_arn = $arn;;credential_source = Environment | $keys_env
0 | 4 | - | profile = role;;sts_endpoint = $secure | [profile role];;role_arn = $arn;;credential_source = Ec2InstanceMetadata | $imds
0 | 2 | - | profile = role;;sts_endpoint = $secure | [profile role];;role_arn = $arn;;credential_source = EcsContainer | AWS_CONTAINER_CREDENTIALS_FULL_URI=$plain/some/role
0 | 2 | - | profile = two;;sts_endpoint = $secure | [profile two];;role_arn = $arn;;source_profile = role;;[profile role];;role_arn = $arn/first;;source_profile = base | $off
0 | 1 | - | profile = web;;sts_endpoint = $secure | [profile web];;role_arn = $arn;;web_identity_token_file = $T/identity | $off
0 | 0 | - | credential_process = $T/keys | - | --ignore-signal=CHLD $off
0 | 0 | - | credentials = process | [default];;credential_process = "$T/keys" 1 ',"SessionToken": null' | $keys_env
0 | 0 | - | profile = command | [profile command];;credential_process = $T/keys | $off
0 | 1 | the container's endpoint at http://127.0.0.1 | - | - | AWS_CONTAINER_CREDENTIALS_FULL_URI=$plain/v1/credentials
0 | 1 | - | credentials = container | - | $keys_env AWS_CONTAINER_CREDENTIALS_FULL_URI=$plain/v1 AWS_CONTAINER_AUTHORIZATION_TOKEN=s3cr3t | authorization s3cr3t
0 | 1 | - | - | - | AWS_CONTAINER_CREDENTIALS_FULL_URI=$plain/v1 AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$T/identity AWS_CONTAINER_AUTHORIZATION_TOKEN=other | authorization $identity
0 | 3 | the instance metadata at http://127.0.0.1 | - | - | $imds
0 | 3 | - | credentials = instance | - | $keys_env $imds/
0 | 3 | - | - | [default];;region = $S3_REGION | $imds http_proxy=http://127.0.0.1:9
TABLE

step "what is wrong is said, with what to do about it"
table way_row <<TABLE
1 | 0 | found no credentials.*docs/credentials.md | - | - | $off
1 | 0 | found no credentials | - | [default];;region = r | $off
2 | 0 | "credentials" must be auto, config | credentials = elsewhere | - | -
2 | 0 | needs access_key and secret_key | credentials = config | - | $keys_env
2 | 0 | external_id has no effect without role_arn | external_id = x | - | -
2 | 0 | external_id has no effect with web_identity_token_file | role_arn = $arn;;web_identity_token_file = /t;;external_id = x | - | -
2 | 0 | web_identity_token_file is for credentials = web_identity | role_arn = $arn;;web_identity_token_file = /t;;credentials = instance | - | -
1 | 0 | has neither AWS_ACCESS_KEY_ID nor | credentials = environment | - | $off
1 | 0 | is no web identity | credentials = web_identity | - | $keys_env
1 | 0 | has AWS_WEB_IDENTITY_TOKEN_FILE but not AWS_ROLE_ARN | - | - | AWS_WEB_IDENTITY_TOKEN_FILE=$T/identity
1 | 0 | no web identity token file.*mounted | - | - | ${web/identity/nowhere}
1 | 0 | token file ".*empty" is empty | - | - | ${web//$T\/identity/$T/empty}
1 | 1 | InvalidIdentityToken.*is not accepted: look whether it is renewed | - | - | $web | identity another
1 | 1 | AccessDenied.*trust policy must let the token's issuer | - | - | $web | STS 403 AccessDenied
1 | 1 | AccessDenied.*trust policy.*external_id | role_arn = $arn;;sts_endpoint = $secure | - | $keys_env | external x
1 | 1 | SignatureDoesNotMatch.*keys that are to assume | role_arn = $arn;;sts_endpoint = $secure | - | AWS_ACCESS_KEY_ID=$S3_ACCESS_KEY AWS_SECRET_ACCESS_KEY=s3cr3t
1 | 1 | not that of an STS.*Check sts_endpoint | role_arn = $arn;;sts_endpoint = $secure | - | $keys_env | STS 404
1 | 0 | could not assume role.*connect.*Check sts_endpoint | role_arn = $arn;;sts_endpoint = https://127.0.0.1:9 | - | $keys_env
1 | 0 | has no profile "nowhere" | profile = nowhere | - | $off
1 | 0 | has role_arn, but neither source_profile | profile = role | [profile role];;role_arn = $arn | $off
1 | 0 | has no profile "gone" | profile = role | [profile role];;role_arn = $arn;;source_profile = gone | $off
1 | 0 | in a circle | profile = a | [profile a];;role_arn = $arn;;source_profile = b;;[profile b];;role_arn = $arn;;source_profile = a | $off
1 | 0 | duration_seconds must be 900 to 43200, not "1h" | profile = role | [profile role];;role_arn = $arn;;source_profile = base;;duration_seconds = 1h | $off
1 | 0 | one-time password | profile = role | [profile role];;role_arn = $arn;;source_profile = base;;mfa_serial = x | $off
1 | 0 | credential_source must be Environment | profile = role | [profile role];;role_arn = $arn;;credential_source = Moon | $off
1 | 0 | IAM Identity Center.*export-credentials --profile sso | profile = sso | [profile sso];;sso_session = x;;sso_account_id = 1 | $off
1 | 0 | credential_process \("false"\) failed with exit status 1 | credential_process = false | - | $off
1 | 0 | No such file | credential_process = $T/nowhere | - | $off
1 | 0 | not understood: it is no JSON.*It is to print | credential_process = echo keys | - | $off
1 | 0 | not understood: its Version is not 1 | credential_process = $T/keys 2 | - | $off
1 | 0 | no credential_process, neither | credentials = process | - | $off
1 | 0 | quote in it is not closed | credential_process = "$T/keys | - | $off
1 | 0 | no credentials of a container | credentials = container | - | $keys_env
1 | 0 | address that is not to be asked.*169.254.170.23 | - | - | AWS_CONTAINER_CREDENTIALS_FULL_URI=http://example.com/v1
1 | 1 | HTTP 403 AccessDenied: this token is not known.*identity agent | - | - | AWS_CONTAINER_CREDENTIALS_FULL_URI=$plain/v1 | authorization other
1 | 1 | HTTP 200, but it is no JSON | - | - | AWS_CONTAINER_CREDENTIALS_FULL_URI=$plain/v1 | CONTAINER 200
1 | 0 | could not ask the container's endpoint | - | - | AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:9/v1
1 | 0 | no file .* AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names | - | - | AWS_CONTAINER_CREDENTIALS_FULL_URI=$plain/v1 AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$T/nowhere
1 | 0 | could not ask the instance metadata.*EC2 only | credentials = instance | - | AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9
1 | 1 | could not ask the instance metadata.*HTTP 403 | credentials = instance | - | $imds | TOKEN 403
1 | 2 | could not ask the instance metadata.*HTTP 404.*with a role | credentials = instance | - | $imds | ROLES 404
1 | 3 | gave no credentials: HTTP 500 | - | - | $imds | ROLE 500
1 | 0 | AWS_EC2_METADATA_DISABLED is true | credentials = instance | - | $imds $off
TABLE

step "a file that others may change is not believed"
keep_home
settings
configure "profile = command"
profiles "[profile command];;credential_process = $T/keys"
chmod 644 home/.aws/config
push 0 "$off"
chmod 664 home/.aws/config
push 1 "$off"
says "mode 0664: others or the group may write it"
profiles "[profile command];;aws_access_key_id = $S3_ACCESS_KEY;;aws_secret_access_key = $S3_SECRET_KEY"
push 0 "$off"
chmod 644 home/.aws/config
push 1 "$off"
says "mode 0644.*may hold secrets"

# ---- what is remembered

step "instance metadata: that nobody is there is remembered for a while"
keep_home
configure -
rm -rf state
settings "TOKEN 404"
push 1 "$imds"
push 1 "$imds"
expect_equal "requests" 1 "$(asked)"
touch -d '6 minutes ago' state/instance-metadata
settings
push 0 "$imds"

step "silence there costs a second"
settings "delay 5"
rm -rf state
before=$EPOCHREALTIME
push 1 "$imds"
expect_true "soon" test $((${EPOCHREALTIME/./} - ${before/./})) -lt "$(slowly 2500000)"
wait_until 10 "the end of that request" grep -q TOKEN plain/requests

step "what is remembered is believed only if it is ours alone"
remembered_row() { # REQUESTS COMMAND
    settings
    (cd state && eval "$2")
    push 0 "$web"
    expect_equal "requests" "$1" "$(asked)"
}
rm -rf state && settings && push 0 "$web"
file=$(basename state/credentials-*.json)
table remembered_row <<TABLE
0 | true
1 | chmod 644 $file
0 | true
1 | mv $file kept && ln -s kept $file
1 | rm -f $file kept && mkfifo $file
1 | : >$file
1 | truncate -s 100 $file
1 | sed -i 's/"identity":"./"identity":"x/' $file
1 | sed -i 's/"expires":[0-9]*/"expires":1000000/' $file
0 | true
TABLE
expect_equal "files" "$file" "$(cd state && echo credentials-*.json)"
settings
push 0 "${web/%role\/walferry AWS*/role\/another} AWS_ENDPOINT_URL_STS=$secure"
expect_equal "another role: requests" 1 "$(asked)"
expect_equal "files" 2 "$(find state -name 'credentials-*.json' | wc -l)"

step "of many calls at once, one asks"
rm -rf state && settings "delay 1"
cp bare.conf way.conf
pids=()
for number in 1 2 3 4 5 6 7 8; do
    (cd main && exec env WALFERRY_CONFIG="$T/way.conf" $web wal-push "pg_wal/$(S $number)") >"at-once.$number" 2>&1 &
    pids+=($!)
done
for number in "${pids[@]}"; do wait "$number" || fail "$(cat at-once.*)"; done
expect_equal "requests" 1 "$(asked)"

step "shortly before they expire they are refreshed; when that fails while they are valid, they are used, and no request is made for a minute"
rm -rf state && settings
push 0 "$web"
remembered() { sed -i "s/\"$1\":[0-9]*/\"$1\":$2/" state/credentials-*.json; } # WHEN MICROSECONDS
remembered refresh 1
settings
push 0 "$web"
expect_equal "requests" 1 "$(asked)"
remembered refresh 1
settings "STS 403 AccessDenied"
push 0 "$web"
says "warning: could not refresh the credentials from role.*valid until"
expect_equal "requests" 1 "$(asked)"
settings "STS 403 AccessDenied"
push 0 "$web"
expect_equal "requests" 0 "$(asked)"
remembered refresh 1
remembered expires $((${EPOCHREALTIME/./} + 9000000))
push 1 "$web"
says "AccessDenied"
settings "life 30" # of short ones a third is the time to
rm -rf state && push 0 "$web"
expect_equal "seconds before they expire" 10 "$(python3 -c 'import json, sys; told = json.load(open(sys.argv[1])); print(round((told["expires"] - told["refresh"]) / 1e6))' state/credentials-*.json)"

step "what has expired on arrival is used, with a word about the clock: the store knows"
rm -rf state && settings "life -100"
push 1 "$web"
says "which this machine takes for past.*clock.*ExpiredToken" # this store's clock is the same
expect_equal "files" "" "$(find state -name 'credentials-*.json')"

step "without a state_dir nothing is remembered"
settings
sed -i 's|^state_dir.*|state_dir = /proc/nowhere|' way.conf
push 0 "$web" && push 0 "$web"
expect_equal "requests" 2 "$(asked)"

step "the store calls them expired: others are fetched, once"
rm -rf state && configure - && settings
push 0 "$web"
issued=$(grep -o 'token-[0-9]*-of-a-session' state/credentials-*.json | cut -d- -f2)
script "set token token-$((issued + 1))-of-a-session"
settings
push 0 "$web"
expect_equal "requests" 1 "$(asked)"
expect_equal "the store's answers" "400 200" "$(cut -d' ' -f3 faults/requests | xargs)"
settings
push 0 "$web"
expect_equal "requests" 0 "$(asked)"
script "set token none"
settings
push 1 "$web"
says "ExpiredToken"
expect_equal "requests" 1 "$(asked)"
script

# ---- proxies

step "a proxy: the section's, the environment's, none; it is told nothing"
proxy_row() { # STATUS VIA-STORE MESSAGE SECTION ENVIRONMENT [SETTINGS]
    keep_home && rm -rf state && settings "${6:-}" && configure "$4"
    push "$1" "$keys_env ${5/#-/}"
    says "$3"
    if [ "$2" = 0 ]; then expect_equal "requests" 0 "$(asked)"; else expect_true "by the proxy" test "$(asked 'CONNECT 200 127.0.0.1')" -ge 1; fi
    expect_equal "what it was told" "" "$(grep -iE 'x-amz|authorization' plain/requests || true)"
}
table proxy_row <<TABLE
0 | 1 | - | proxy = $plain | -
0 | 1 | - | - | https_proxy=$plain
0 | 0 | - | - | https_proxy=http://127.0.0.1:9 no_proxy=127.0.0.1
0 | 0 | - | proxy = none | https_proxy=http://127.0.0.1:9
0 | 1 | - | proxy = $plain | https_proxy=http://127.0.0.1:9
0 | 1 | - | proxy = ${plain/\/\//\/\/user:s3cr3t@} | - | authorization user:s3cr3t
2 | 0 | proxy must be none, or begin with | proxy = user:s3cr3t@somewhere | -
1 | 0 | connect | proxy = http://user:s3cr3t@127.0.0.1:9 | -
1 | 0 | proxy's address is not understood.*%XX | proxy = http://user:s3cr3t/x@127.0.0.1:9 | -
1 | 0 | proxy's address is not understood | - | https_proxy=user:s3cr3t@127.0.0.1:x
TABLE
settings "authorization user:s3cr3t" && configure "proxy = $plain"
push 1 "$keys_env"
says "407"

step "STS is asked by the proxy, metadata and containers never are"
settings && rm -rf state && configure "proxy = $plain;;sts_endpoint = $secure;;role_arn = $arn"
push 0 "$keys_env"
expect_equal "tunnels" 2 "$(asked CONNECT)"
expect_equal "STS" 1 "$(asked STS)"
settings && rm -rf state && configure "proxy = http://127.0.0.1:9"
push 1 "$imds"
expect_equal "the metadata was asked" 3 "$(asked)"
settings
push 1 "AWS_CONTAINER_CREDENTIALS_FULL_URI=$plain/v1"
expect_equal "the container's endpoint was asked" 1 "$(asked)"

step "TLS 1.2 and 1.3, and nothing older, whatever the system's settings allow and whether or not it is verified"
cat >weak.cnf <<'CNF'
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = weak
[weak]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
CNF
handshake() { openssl s_client -connect "$(sed -n 's|^endpoint = https://||p' keys.conf)" "$@" </dev/null; }
tls_row() { # STATUS MESSAGE VERSION SECTION ENVIRONMENT
    script "set tls $3"
    configure "access_key = $S3_ACCESS_KEY;;secret_key = $S3_SECRET_KEY"
    [ "$4" = - ] || sed -i "s!^ca_file.*!$4!" way.conf
    rm -rf state
    push "$1" "$5"
    says "$2"
    [ "$1" = 0 ] || expect_requests 0 "(GET|PUT) "
}
script "set tls 1.1"
OPENSSL_CONF=$T/weak.cnf expect_status 0 handshake -tls1_1
expect_output "protocol *: TLSv1.1"
table tls_row <<TABLE
0 | - | 1.2 | - | -
0 | - | 1.3 | - | -
1 | does not speak TLS 1.2 or newer | 1.1 | - | -
1 | does not speak TLS 1.2 or newer | 1.1 | - | OPENSSL_CONF=$T/weak.cnf
1 | does not speak TLS 1.2 or newer | 1.1 | tls_verify = no | OPENSSL_CONF=$T/weak.cnf
TABLE
script

step "TLS that is not verified is said in each call"
sed 's/^ca_file.*/tls_verify = no/' keys.conf >way.conf
push 0 -
says 'warning: .*\[repository here\]: tls_verify = no: whoever is on the way.*ca_file'

# ---- secrets

step "what a command of the user's sees: no secret in its environment, nor in anybody's arguments"
configure "credential_process = $T/slow argument" && rm -rf state && settings
cat >slow <<SLOW
#!/bin/sh
env >$T/environment
for pid in \$\$ \$PPID; do tr '\\\\0' ' ' <"/proc/\$pid/cmdline"; done >$T/arguments
cat /proc/\$PPID/environ >$T/environ 2>$T/environ.error
$T/keys
SLOW
chmod 755 slow
(export AWS_SECRET_ACCESS_KEY=s3cr3t AWS_SESSION_TOKEN=s3cr3t AWS_CONTAINER_AUTHORIZATION_TOKEN=s3cr3t PGPASSWORD=s3cr3t https_proxy=http://u:s3cr3t@127.0.0.1:9 no_proxy='*'
    export AWS_PROFILE=base && push 0 -)
expect_true "a profile's name is none" grep -q ^AWS_PROFILE=base environment
expect_equal "secrets in environment and arguments" "" "$(grep -F "$(secrets)" environment arguments environ || true)"
expect_true "arguments were looked at" grep -q "wal-push" arguments
expect_true "wal-push lets nobody read its environment" grep -qi "denied" environ.error

step "a command that hangs is ended"
printf '#!/bin/sh\nsleep 100 & sleep 100\n' >slow
before=$SECONDS
push 1 "$off"
says "gave credential_process .* up: it took too long"
expect_true "in its time" test $((SECONDS - before)) -le "$(slowly 25)"

step "no core, with whatever is in it"
configure - && settings "delay 3" && rm -rf state
ulimit -c unlimited 2>/dev/null || true
(cd main && exec env WALFERRY_CONFIG="$T/way.conf" $web wal-push "pg_wal/$name") >said 2>&1 &
pid=$!
sleep 1
expect_true "its memory is nobody's to read" test ! -r "/proc/$pid/mem" -o "$(id -u)" = 0
kill -SEGV $pid
wait $pid || true
expect_equal "cores" "" "$(find "$T" -name 'core*' -type f)"
ulimit -c 0

expect_rows 92
