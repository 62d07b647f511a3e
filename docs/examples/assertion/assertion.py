"""An API written in Python that refuses requests which did not come through the gate (PyJWT)."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

GATE, AUDIENCE, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
keys = jwt.PyJWKClient(GATE + "/.portreeve/oidc/jwks")


def came_through_the_gate(assertion):
    try:
        key = keys.get_signing_key_from_jwt(assertion).key
        jwt.decode(assertion, key, algorithms=["EdDSA"], audience=AUDIENCE, issuer=GATE,
                   options={"require": ["iss", "aud", "exp", "iat"]})
        return True
    except jwt.PyJWTError:
        return False


class API(BaseHTTPRequestHandler):
    def do_GET(self):
        allowed = came_through_the_gate(self.headers.get("Portreeve-Assertion", ""))
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"message": "hello"}' if allowed else b"{}")


ThreadingHTTPServer(("127.0.0.1", PORT), API).serve_forever()
