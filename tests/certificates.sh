# certificates.sh: a private CA and a server's certificate for https on 127.0.0.1; sourced by tests/ceph and tests/swift.

certificates() { # BUCKET...: makes tls/ca.crt, tls/server.crt and their keys below here; each bucket is a host name too, for virtual addressing
    [ ! -s tls/server.crt ] || return 0
    mkdir -p tls
    openssl req -x509 -newkey rsa:2048 -nodes -keyout tls/ca.key -out tls/ca.crt -days 3650 -subj "/CN=walferry test CA" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
    openssl req -newkey rsa:2048 -nodes -keyout tls/server.key -out tls/server.csr -subj "/CN=localhost"
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1%s\nextendedKeyUsage=serverAuth' "$(printf ',DNS:%s.localhost' "$@")" >tls/extensions
    openssl x509 -req -in tls/server.csr -CA tls/ca.crt -CAkey tls/ca.key -CAcreateserial -days 3650 \
        -extfile tls/extensions -out tls/server.crt
}
