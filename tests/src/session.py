"""An application that keeps its sessions in Redis, and a client of it (SC-01).

  session.py app SOCKET VERSION      serves on a free loopback port, which it prints
  session.py ask ADDRESS HOST        sends the requests of standard input, a JSON
                                     list of {"method", "path", "session", "body"},
                                     over one connection each; prints the answers
"""
import http.client
import http.server
import json
import sys

import redis


def application(store, version):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def session(self):
            cookie = self.headers.get("cookie", "")
            return cookie.partition("session=")[2].partition(";")[0]

        def answer(self, status, body=None):
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.send_header("x-okra-version", version)
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self):
            if self.path == "/healthz":
                return self.answer(200)
            return self.answer(200, [text.decode() for text in store.lrange(self.session(), 0, -1)])

        def do_POST(self):
            length = int(self.headers.get("content-length", "0"))
            store.rpush(self.session(), self.rfile.read(length))
            return self.answer(201)

        def do_DELETE(self):
            store.delete(self.session())
            return self.answer(200)

        def log_message(self, *_):
            pass

    return Handler


def serve(socket, version):
    handler = application(redis.Redis(unix_socket_path=socket), version)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def ask(address, host):
    answers = []
    for request in json.load(sys.stdin):
        connection = http.client.HTTPConnection(address, timeout=5)
        headers = {"host": host, "cookie": f"session={request['session']}"}
        connection.request(request["method"], request["path"], request.get("body"), headers)
        answer = connection.getresponse()
        text = answer.read()
        version = answer.getheader("x-okra-version")
        answers.append({"status": answer.status, "version": version, "body": json.loads(text or b"null")})
        connection.close()
    json.dump(answers, sys.stdout)


if sys.argv[1] == "app":
    serve(sys.argv[2], sys.argv[3])
else:
    ask(sys.argv[2], sys.argv[3])
