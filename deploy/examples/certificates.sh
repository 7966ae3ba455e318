#!/bin/sh
# certificates.sh edge|sidecar FOLDER: makes throw-away certificates for one of the examples in FOLDER/certs, with
# openssl 3. For trying things out; in earnest, these come from your own authorities.
set -eu
usage() { echo "usage: certificates.sh edge|sidecar FOLDER" >&2; exit 2; }
[ $# = 2 ] || usage
case $1 in edge | sidecar) ;; *) usage ;; esac
umask 077
mkdir -p "$2/certs"
cd "$2/certs"

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

# authority NAME: NAME.pem, NAME.key
authority() {
    key "$1.key"
    openssl req -x509 -new -key "$1.key" -sha256 -days 365 -subj "/O=Example/CN=$1" -out "$1.pem" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

# certificate AUTHORITY NAME serverAuth|clientAuth ALTERNATIVE-NAMES: NAME.pem, NAME.key
certificate() {
    key "$2.key"
    openssl req -new -key "$2.key" -subj "/O=Example/CN=$2" -out "$2.csr"
    printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
        "extendedKeyUsage=$3" 'authorityKeyIdentifier=keyid' "subjectAltName=$4" >"$2.ext"
    openssl x509 -req -in "$2.csr" -CA "$1.pem" -CAkey "$1.key" -CAcreateserial -sha256 -days 90 \
        -extfile "$2.ext" -out "$2.pem" 2>/dev/null
    rm "$2.csr" "$2.ext"
}

# revocations AUTHORITY FILE: a list that revokes nothing yet, due in 7 days
revocations() {
    : >"$1.index"
    echo 01 >"$1.number"
    printf '%s\n' '[ca]' 'default_ca = own' '[own]' "database = $1.index" "crlnumber = $1.number" \
        'default_md = sha256' 'crl_extensions = crl' '[crl]' 'authorityKeyIdentifier = keyid' >"$1.cnf"
    openssl ca -config "$1.cnf" -gencrl -crldays 7 -cert "$1.pem" -keyfile "$1.key" -out "$2" 2>/dev/null
    rm "$1.cnf"
}

case $1 in
edge)
    authority clients-ca
    authority applications-ca
    certificate clients-ca server serverAuth 'DNS:records.civil.example,DNS:data.civil.example'
    certificate applications-ca gateway-client clientAuth 'URI:spiffe://civil.example/workload/edge'
    revocations clients-ca clients.crl.pem
    # A clerk, to try it with.
    certificate clients-ca clerk clientAuth 'URI:spiffe://civil.example/clerk/li-na'
    ;;
sidecar)
    authority workloads-ca
    certificate workloads-ca server serverAuth 'DNS:records.internal.civil.example'
    revocations workloads-ca workloads.crl.pem
    # The edge in front, to try it with.
    certificate workloads-ca edge clientAuth 'URI:spiffe://civil.example/workload/edge'
    ;;
esac
