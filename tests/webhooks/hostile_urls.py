"""URLs that a relay must never call, with what DNS would say of their names."""

# ruff: noqa: RUF001, SIM905 (ambiguous characters are the point; a list of words reads better as words)

ANSWERS = {
    "public.example": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "private.example": ["10.0.0.7"],
    "mixed.example": ["93.184.215.14", "10.0.0.7"],
    "mixed6.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::1"],
    "mapped.example": ["::ffff:169.254.169.254"],
    "nat64.example": ["64:ff9b::a9fe:a9fe"],
    "zoned.example": ["fe80::1%2"],
    "loop.example": ["127.0.0.1"],
    "unspecified.example": ["0.0.0.0"],
    "empty.example": [],
}

FORBIDDEN_V4 = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.254 127.0.0.1 127.255.255.254
168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1
192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1 239.255.255.250
240.0.0.1 255.255.255.255
""".split()

FORBIDDEN_V6 = """
:: ::1 0:0:0:0:0:0:0:1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:169.254.169.254 ::ffff:0:10.0.0.1 ::127.0.0.1 ::a9fe:a9fe
64:ff9b::169.254.169.254 64:ff9b::7f00:1 64:ff9b:1::a9fe:a9fe 64:ff9b:1::808:808 2002:7f00:1:: 2002:a9fe:a9fe::1
2002:0a00:0001::1 2001:0:4136:e378:8000:63bf:f5ff:fffe 2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:db8::1 3fff::1 3ffe::1
2606:2800::5efe:10.0.0.1 2606:2800::200:5efe:10.0.0.1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::a9fe:a9fe
febf::1 fec0::1 feff::1 ff02::1 ff0e::1 100::1 4000::1 5f00::1 8000::1 200::1
""".split()

NOTATIONS = """
2130706433 017700000001 0x7f000001 0x7f.1 0x7f.0.0.1 127.1 127.0.1 0177.0.0.1 0300.0250.0.1 2852039166 0xa9fea9fe
0xA9.0xFE.0xA9.0xFE 0251.0376.0251.0376 169.254.43518 10.1 0 00 0x0 127.0.0.01 127.0.0.1. 3232235777
""".split()

NAMES = """
private.example mixed.example mixed6.example mapped.example nat64.example zoned.example loop.example
unspecified.example localhost LOCALHOST localhost. app.localhost metadata metadata.google.internal
Metadata.Google.Internal. x.metadata.google.internal metadata.goog metadata.azure.internal metadata.tencentyun.com
instance-data instance-data.ec2.internal
""".split()

MALFORMED = [
    "",
    "public.example",
    "//public.example/",
    "ftp://public.example/",
    "file:///etc/passwd",
    "gopher://public.example/",
    "javascript:alert(1)",
    "unix:///run/docker.sock",
    "http:public.example",
    "http:///path",
    "http://",
    "https://?x",
    "http://user:password@public.example/",
    "http://user@public.example/",
    "http://@public.example/",
    "http://public.example@10.0.0.1/",
    "http://10.0.0.1#@public.example/",
    "http://public.example:0/",
    "http://public.example:65536/",
    "http://public.example:-1/",
    "http://public.example:/",
    "http://public.example:80:80/",
    "http://public.example:８０/",
    "http://public.example:x/",
    "http://public.example\\@10.0.0.1/",
    "http:\\\\10.0.0.1/",
    "http://10.0.0.1\\.public.example/",
    " http://public.example/",
    "http://public.example/\n",
    "http://public.example/a b",
    "http://public.example/\r\nX-Injected: 1",
    "http://public.example/\0",
    "http://public\t.example/",
    "http://public.example/\u2028",
    "http://public.example/\ud800",
    "http://127。0。0。1/",
    "http://１２７.0.0.1/",
    "http://①②⑦.0.0.1/",
    "http://127．0．0．1/",
    "http://localhoſt/",
    "http://public%2eexample/",
    "http://127.0.0.1%2f.public.example/",
    "http://[::1/",
    "http://::1/",
    "http://[::1]x/",
    "http://[127.0.0.1]/",
    "http://[v1.x]/",
    "http://[]/",
    "http://[::1%25lo]/",
    "http://[fe80::1%eth0]/",
    "http://public..example/",
    "http://.public.example/",
    "http://-public.example/",
    "http://" + "a" * 64 + ".example/",
    "http://" + "a." * 130 + "example/",
    "http://public.example/" + "a" * 2048,
    "http://256.256.256.256/",
    "http://1.2.3.4.5/",
]

FORBIDDEN = [
    *(f"http://{host}/hook" for host in FORBIDDEN_V4),
    *(f"https://[{host}]:8443/hook" for host in FORBIDDEN_V6),
    *(f"http://{host}/hook" for host in NOTATIONS),
    *(f"https://{host}/hook" for host in NAMES),
]
"""Well-formed, or nearly, and leading where nobody may go."""

PUBLIC = [
    "http://public.example/hook",
    "HTTPS://Public.Example:8443/hook?token=a%2Fb#part",
    "https://public.example./",
    "http://93.184.215.14/",
    "http://100.63.255.255/",
    "http://100.128.0.1/",
    "http://172.15.255.255/",
    "http://172.32.0.1/",
    "http://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
    "http://[64:ff9b::5db8:d70e]/",
    "http://[::ffff:93.184.215.14]/",
]
