"""smpp34 in a process of its own, as an SMSC or as an ESME. Prints one JSON object a line for what happens."""

import asyncio
import json
import sys

sys.path.insert(0, sys.argv[1])

import smpp34


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


async def smsc(port: int) -> None:
    """Delivers one text in message_payload and one in two parts by SAR, then throttles the first submit and takes the others."""
    server = smpp34.Server("127.0.0.1", port)
    await server.start()
    say(event="listening")
    taken = 0
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            say(event="bind", system_id=event.system_id)
            asyncio.get_running_loop().create_task(deliver(event))
        elif isinstance(event, smpp34.SubmitSmEvent):
            taken += 1
            say(event="submit", to=event.destination_addr, data_coding=event.data_coding, text=event.short_message.hex())
            event.reject(smpp34.ESME_RTHROTTLED) if taken == 1 else event.accept(f"{taken:010}")


async def deliver(esme: "smpp34.Esme") -> None:
    words = json.loads(sys.argv[4])
    tlv = smpp34.Tlv
    long = tlv(smpp34.TLV_MESSAGE_PAYLOAD, words[0].encode("utf-16-be"))
    answers = [
        await esme.deliver_sm("1069000000", b"", source_addr="8613900000021", source_addr_ton=1, data_coding=8, tlvs=[long])
    ]
    for number, piece in ((2, words[2]), (1, words[1])):
        sar = [
            tlv(smpp34.TLV_SAR_MSG_REF_NUM, b"\x12\x34"), tlv(smpp34.TLV_SAR_TOTAL_SEGMENTS, b"\x02"),
            tlv(smpp34.TLV_SAR_SEGMENT_SEQNUM, bytes((number,))),
        ]  # fmt: skip
        answers.append(
            await esme.deliver_sm(
                "1069000000", piece.encode("utf-16-be"), source_addr="8613900000021", source_addr_ton=1, data_coding=8, tlvs=sar
            )
        )
    say(event="delivered", statuses=[answer.command_status for answer in answers])


async def esme(port: int) -> None:
    """Binds, submits one text, and says what is delivered to it."""
    client = smpp34.Client("127.0.0.1", port, "gateway", "peer-pw")
    session = await client.connect()
    answer = await session.submit_sm(
        "8613800000009", json.loads(sys.argv[4])[0].encode("utf-16-be"), data_coding=8, registered_delivery=1
    )
    say(event="submitted", status=answer.command_status, id=answer.message_id)
    while True:
        event = await session.next()
        if isinstance(event, smpp34.Disconnected):
            return
        say(event="deliver", esm_class=event.esm_class, text=event.short_message.hex(), source=event.source_addr)


asyncio.run({"smsc": smsc, "esme": esme}[sys.argv[2]](int(sys.argv[3])))
