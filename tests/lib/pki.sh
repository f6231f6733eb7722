# shellcheck shell=bash disable=SC2154,SC2034
# Certification authorities by the openssl command, and servers that hand their CRLs out, for scripts of tests/lib/net.sh.
#
#   ca corp                          a root in $work/pki/corp: ca.pem, ca.key
#   ca east corp                     one below it; chain.pem holds both
#   san=DNS:gw-a.example issue corp gw-a      $work/pki/corp/gw-a.pem and gw-a.key
#   give corp gw-a a                 ca.pem, gw-a.pem and gw-a.key into gw-a's configuration folder $work/a
#   certified a b                    issue and give for gw-a and gw-b: their addresses and gw-X.example.net are in it
#   by_certificate a b               config of gw-a with the peer gw-b, both by signatures and the trustpoint corp
#   crl corp                         $work/pki/corp/crl.pem and crl.der; revoke corp gw-a: then make a new one
#   web outside 192.0.2.254          nginx: $work/web on http://192.0.2.254/; publish corp: its crl.der as corp.crl there
#   directory outside 192.0.2.254    slapd: ldap://192.0.2.254/; directory_crl outside corp puts its CRL under $crl_dn
#   responder outside corp [NAME]    OCSP on port 2560 of all its addresses: http://192.0.2.254:2560/; signed by the CA itself, or
#                                    with NAME's certificate: eku=OCSPSigning, and nocheck=yes for id-pkix-ocsp-nocheck
#   tarpit outside 192.0.2.254 8080  takes connections, gives a byte now and then
#   unserve web|directory|responder|tarpit NAMESPACE     ends one again; all end with the script
#
# Variables change what is made:
#   key      rsa:2048 (default), rsa:1024, ec:P-256 ...      digest   sha256 (default), sha1, md5 ...
#   subject  of issue: "/O=example/CN=NAME" is the default   san      DNS:..., IP:..., email:...; none by default
#   from, until   dates as date(1) takes them: "2 days ago"  usage, eku   keyUsage, extendedKeyUsage; none by default
#   cdp      "URI:http://..." or "dn" (the directory name $crl_dn); ocsp: the responder's URL
#   method, policy, revocation, trust_keys    of by_certificate: rsa-sig; whole policy; `none`; more lines of the trustpoint
#   crl_from, crl_until   a CRL's thisUpdate and nextUpdate; crl_digest

crl_dn='cn=CRL1,ou=sjvpn,o=cisco,c=us'
directory_password=secret

# when TEXT: for openssl ca
when() { date -u -d "$1" +%Y%m%d%H%M%SZ; }

# quietly COMMAND...: its output only when it fails
quietly() { "$@" >"$work/pki.output" 2>&1 || complain "$1: $(tail -3 "$work/pki.output" | tr '\n' ' ')"; }

# new_key FILE
new_key() {
  local kind=${key:-rsa:2048}
  case $kind in
    rsa:*) (umask 077 && quietly openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:${kind#*:}" -out "$1") ;;
    *) (umask 077 && quietly openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:${kind#*:}" -out "$1") ;;
  esac
}

# ca_config FOLDER: for openssl ca; the extensions are written by extensions()
ca_config() {
  cat >"$1/ca.cnf" <<CNF
[ca]
default_ca = it
[it]
database = $1/index.txt
serial = $1/serial
crlnumber = $1/crlnumber
new_certs_dir = $1
certificate = $1/ca.pem
private_key = $1/ca.key
policy = anything
unique_subject = no
default_md = sha256
default_days = 365
default_crl_days = 7
crl_extensions = crl_ext
email_in_dn = yes
string_mask = utf8only
[anything]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = optional
emailAddress = optional
serialNumber = optional
unstructuredName = optional
unstructuredAddress = optional
[crl_ext]
authorityKeyIdentifier = keyid
[req]
distinguished_name = none
prompt = no
[none]
CNF
}

# ca NAME [PARENT]
ca() {
  local name=$1 parent=${2:-} folder=$work/pki/$1
  mkdir -p "$folder"
  : >"$folder/index.txt"
  echo "${first_serial:-1000}" >"$folder/serial"
  echo 01 >"$folder/crlnumber"
  ca_config "$folder"
  new_key "$folder/ca.key" || return
  if [ -z "$parent" ]; then
    cat >"$folder/root.cnf" <<CNF
[req]
distinguished_name = none
prompt = no
[none]
[ext]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
CNF
    quietly openssl req -new -x509 -config "$folder/root.cnf" -extensions ext -key "$folder/ca.key" -"${digest:-sha256}" \
      -days "${days:-3650}" -subj "${subject:-/O=example/CN=$name}" -out "$folder/ca.pem" || return
    cp "$folder/ca.pem" "$folder/chain.pem"
  else
    usage=critical,keyCertSign,cRLSign eku='' san='' basic=critical,CA:true sign "$parent" "$folder/ca.key" "$folder/ca.pem" \
      "${subject:-/O=example/CN=$name}" || return
    cat "$folder/ca.pem" "$work/pki/$parent/chain.pem" >"$folder/chain.pem"
  fi
}

# extensions: of a certificate, from the variables
extensions() {
  local part
  echo "[ext]"
  echo "subjectKeyIdentifier = hash"
  echo "authorityKeyIdentifier = keyid"
  [ -z "${basic:-}" ] || echo "basicConstraints = $basic"
  [ -z "${usage:-}" ] || echo "keyUsage = $usage"
  [ -z "${eku:-}" ] || echo "extendedKeyUsage = $eku"
  [ -z "${nocheck:-}" ] || echo "noCheck = ignored"
  [ -z "${san:-}" ] || echo "subjectAltName = $san"
  [ -z "${ocsp:-}" ] || echo "authorityInfoAccess = OCSP;$([[ $ocsp == URI:* ]] || echo URI:)$ocsp"
  case ${cdp:-} in
    '') ;;
    dn)
      echo "crlDistributionPoints = point"
      echo "[point]"
      echo "fullname = dirName:point_name"
      echo "[point_name]"
      # from the least to the most specific part
      tr ',' '\n' <<<"$crl_dn" | tac | while IFS= read -r part; do echo "${part^^}" | sed 's/=.*//' | tr -d '\n'; echo " = ${part#*=}"; done
      ;;
    *) echo "crlDistributionPoints = $cdp" ;;
  esac
}

# sign CA KEY-FILE CERTIFICATE SUBJECT
sign() {
  local folder=$work/pki/$1
  extensions >"$3.ext"
  quietly openssl req -new -config "$folder/ca.cnf" -key "$2" -subj "$4" -out "$3.csr" &&
    quietly openssl ca -batch -config "$folder/ca.cnf" -in "$3.csr" -out "$3" -notext -md "${digest:-sha256}" -preserveDN \
      -startdate "$(when "${from:-1 hour ago}")" -enddate "$(when "${until:-300 days}")" -extfile "$3.ext" -extensions ext &&
    rm -f "$3.csr" "$3.ext"
}

# issue CA NAME
issue() {
  local folder=$work/pki/$1
  new_key "$folder/$2.key" && sign "$1" "$folder/$2.key" "$folder/$2.pem" "${subject:-/O=example/CN=$2}"
}

# give CA NAME GATEWAY: `own` names the files differently there
give() {
  cp "$work/pki/$1/chain.pem" "$work/$3/ca.pem" && cp "$work/pki/$1/$2.pem" "$work/$3/${own:-$2}.pem" &&
    cp "$work/pki/$1/$2.key" "$work/$3/${own:-$2}.key" && chmod 600 "$work/$3/${own:-$2}.key"
}

# certified GATEWAY...: by the CA corp, or $by
certified() {
  local self
  for self; do
    san=${san-IP:$(outer "$self"),DNS:gw-$self.example.net} issue "${by:-corp}" "gw-$self" && give "${by:-corp}" "gw-$self" "$self" ||
      return
  done
}

# by_certificate SELF PEER...: config, with `certified`'s files
by_certificate() {
  local rsa_sig="10: {encryption: aes-256, hash: sha256, group: 14, authentication: ${method:-rsa-sig}}"
  local ike=${policy:-$rsa_sig} proof=${proof:-trustpoint: corp} sections
  sections="trustpoints:
  corp:
    ca: ca.pem
    certificate: gw-$1.pem
    key: {file: gw-$1.key}
    revocation: ${revocation:-none}
${trust_keys:-}
${more_sections:-}"
  config "$@"
}

# revoke CA NAME [REASON]
revoke() {
  quietly openssl ca -config "$work/pki/$1/ca.cnf" -revoke "$work/pki/$1/$2.pem" -crl_reason "${3:-keyCompromise}"
}

# crl CA
crl() {
  local folder=$work/pki/$1
  quietly openssl ca -config "$folder/ca.cnf" -gencrl -md "${crl_digest:-sha256}" -crl_lastupdate "$(when "${crl_from:-1 hour ago}")" \
    -crl_nextupdate "$(when "${crl_until:-7 days}")" -out "$folder/crl.pem" &&
    quietly openssl crl -in "$folder/crl.pem" -outform DER -out "$folder/crl.der"
}

# --- servers; each by pid, in $work/KIND-NAMESPACE.pid

# asked of the kernel: a connection with nothing in it makes openssl's responder spin
listens() { [ -n "$(at "$1" ss -Hltn "sport = :$2")" ]; }

# serve KIND NAMESPACE PORT COMMAND...: until it takes connections
serve() {
  local kind=$1 where=$2 port=$3
  shift 3
  background at_exec "$where" "$@" >"$work/$kind-$where.log" 2>&1 </dev/null
  echo $! >"$work/$kind-$where.pid"
  eventually 10 listens "$where" "$port" || complain "$kind did not start: $(tail -3 "$work/$kind-$where.log" | tr '\n' ' ')"
}

# unserve KIND NAMESPACE
unserve() {
  local pid
  pid=$(cat "$work/$1-$2.pid")
  kill "$pid" && eventually 10 not running "$pid" && rm "$work/$1-$2.pid"
}

# web NAMESPACE ADDRESS [PORT]: access_log of requests in $work/web-NAMESPACE.requests
web() {
  local where=$1 host=$2 port=${3:-80}
  mkdir -p "$work/web"
  chmod 755 "$work/web"
  cat >"$work/web-$where.conf" <<CONF
daemon off;
master_process off;
user root;
pid $work/web-$where.nginx.pid;
error_log stderr;
events { worker_connections 64; }
http {
  access_log $work/web-$where.requests;
  types { application/pkix-crl crl; application/pkix-cert crt; }
  default_type application/octet-stream;
  client_body_temp_path $work/web-$where.body;
  proxy_temp_path $work/web-$where.proxy;
  fastcgi_temp_path $work/web-$where.fastcgi;
  uwsgi_temp_path $work/web-$where.uwsgi;
  scgi_temp_path $work/web-$where.scgi;
  server {
    listen $host:$port;
    root $work/web;
    ${web_extra:-}
  }
}
CONF
  serve web "$where" "$port" nginx -e stderr -c "$work/web-$where.conf"
}

# publish CA [NAME]: http://.../NAME.crl, replaced as a whole
publish() {
  mkdir -p "$work/web"
  cp "$work/pki/$1/crl.der" "$work/web/.new" && chmod 644 "$work/web/.new" && mv "$work/web/.new" "$work/web/${2:-$1}.crl"
}

# fetched NAMESPACE FILE [COUNT]: so many requests for it have been answered
fetched() { [ "$(grep -c "GET /$2 .* 200 " "$work/web-$1.requests")" -ge "${3:-1}" ]; }

# directory NAMESPACE ADDRESS [PORT]: slapd over c=us with the entry $crl_dn, no CRL in it yet
directory() {
  local where=$1 host=$2 port=${3:-389} folder=$work/directory-$1
  rm -rf "$folder"
  mkdir -p "$folder/data"
  cat >"$folder/slapd.conf" <<CONF
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $folder/slapd.pid
argsfile $folder/slapd.args
database mdb
maxsize 67108864
suffix "c=us"
rootdn "cn=admin,c=us"
rootpw $directory_password
directory $folder/data
CONF
  cat >"$folder/tree.ldif" <<LDIF
dn: c=us
objectClass: country
c: us

dn: o=cisco,c=us
objectClass: organization
o: cisco

dn: ou=sjvpn,o=cisco,c=us
objectClass: organizationalUnit
ou: sjvpn

dn: $crl_dn
objectClass: cRLDistributionPoint
cn: CRL1
LDIF
  quietly slapadd -f "$folder/slapd.conf" -l "$folder/tree.ldif" &&
    serve directory "$where" "$port" slapd -d 0 -h "ldap://$host:$port/" -f "$folder/slapd.conf" &&
    echo "ldap://$host:$port/" >"$folder/url"
}

# directory_crl NAMESPACE CA: its CRL becomes $crl_dn's
directory_crl() {
  quietly at "$1" ldapmodify -x -H "$(cat "$work/directory-$1/url")" -D cn=admin,c=us -w "$directory_password" <<LDIF
dn: $crl_dn
changetype: modify
replace: certificateRevocationList;binary
certificateRevocationList;binary:: $(base64 -w 0 "$work/pki/$2/crl.der")
LDIF
}

# directory_user NAMESPACE USER CERTIFICATE: an entry of that uid, with the certificate
directory_user() {
  quietly at "$1" ldapadd -x -H "$(cat "$work/directory-$1/url")" -D cn=admin,c=us -w "$directory_password" <<LDIF
dn: cn=$2,o=cisco,c=us
objectClass: person
objectClass: uidObject
objectClass: pkiUser
cn: $2
sn: $2
uid: $2
userCertificate;binary:: $(openssl x509 -in "$3" -outform DER | base64 -w 0)
LDIF
}

# responder NAMESPACE CA [NAME]: OCSP; it reads the CA's index at its start
responder() {
  local folder=$work/pki/$2
  serve responder "$1" 2560 openssl ocsp -index "$folder/index.txt" -CA "$folder/ca.pem" -rsigner "$folder/${3:-ca}.pem" \
    -rkey "$folder/${3:-ca}.key" -port 2560 -ndays 1 -rmd sha256
}

# tarpit NAMESPACE ADDRESS PORT: a header that never ends, a byte every half second
tarpit() {
  serve tarpit "$1" "$3" python3 "$top/tests/lib/tarpit.py" "$2" "$3"
}
