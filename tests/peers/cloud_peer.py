"""The providers' own code, in a process of its own: reads one JSON object from standard input, prints a signature.

{"twilio": {"url", "fields", "token"}}: X-Twilio-Signature. {"aliyun": {"headers", "query", "account", "secret"}}: Authorization.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
asked = json.load(sys.stdin)

if "twilio" in asked:
    from twilio.request_validator import RequestValidator

    given = asked["twilio"]
    print(RequestValidator(given["token"]).compute_signature(given["url"], given["fields"]))
else:
    from alibabacloud_openapi_util.client import Client
    from Tea.request import TeaRequest

    given, request = asked["aliyun"], TeaRequest()
    request.method, request.pathname, request.query, request.headers = "POST", "/", given["query"], given["headers"]
    payload = given["headers"]["x-acs-content-sha256"]
    print(Client.get_authorization(request, "ACS3-HMAC-SHA256", payload, given["account"], given["secret"]))
