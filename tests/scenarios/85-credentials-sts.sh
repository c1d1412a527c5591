#!/bin/bash
# goal: a role assumed at a real STS, that of the store itself: a backup and its WAL with temporary credentials alone, and recovery
# stores: s3
. "$(dirname "$0")/../lib.sh"
[ "$S3_SERVER" != swift ] || skip "Swift has no STS"
arn=arn:aws:iam:::role/walferry

step "the guest may nothing, the role that it assumes may"
config_write
server_create main
expect_status 0 repository-init
sed -i "s|^access_key.*|access_key = $S3_GUEST_ACCESS_KEY|; s|^secret_key.*|secret_key = $S3_GUEST_SECRET_KEY|" "$CONFIG"
rm -rf state
expect_status 1 basebackup-list
expect_output "AccessDenied"
sed -i "/^secret_key/a role_arn = $arn" "$CONFIG"
expect_status 0 basebackup-list
expect_status 0 repository-check
expect_output "the key is accepted \(from role \"$arn\"\)"
expect_equal "mode of what is remembered" 600 "$(stat -c %a state/credentials-*.json)"

step "another role is not had, and it is said"
sed "s|role/walferry|role/nobody|" "$CONFIG" >other.conf && chmod 600 other.conf
expect_status 1 basebackup-list --config "$T/other.conf"
expect_output "could not assume role .*role/nobody"
sed "s|^secret_key.*|secret_key = wrong|" "$CONFIG" >other.conf && rm -rf state
expect_status 1 basebackup-list --config "$T/other.conf"
expect_output "could not assume role .*(SignatureDoesNotMatch|AccessDenied)"

step "a server archives, is backed up and recovered"
server_start main
sql main "create table t as select generate_series(1, 1000) i"
expect_status 0 basebackup-push --checkpoint=fast
sql main "insert into t values (0)" "select pg_switch_wal()" >/dev/null
server_stop main
expect_status 0 basebackup-fetch -D "$T/restored"
expect_status 0 recovery-config -D "$T/restored"
server_start restored
wait_open restored
expect_equal "rows" 1001 "$(sql restored "select count(*) from t")"
server_stop restored
