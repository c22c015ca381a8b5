// An SMSC made of the npm package smpp. Prints one JSON object a line for what happens; takes one a line for what to do:
//   {"do": "deliver", "parts": [{"text", "reference", "total", "number"}]}   UCS2 parts, in the order given
//   {"do": "enquire"}                                                        enquire_link
//   {"do": "receipts", "early": true, "form": "text" or "tlv"}               how the receipts of the next submits come
//   {"do": "raw", "data_coding", "text" or "octets"}                         one message in that character set
'use strict';
const readline = require('readline');
const smpp = require(process.argv[2]);

const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');
let esme = null;
let submits = 0;
let how = { early: false, form: 'both' };

const server = smpp.createServer((session) => {
  session.on('error', () => {});
  session.on('bind_transceiver', (pdu) => {
    const known = pdu.system_id === 'gateway' && pdu.password === 'peer-pw';
    session.send(pdu.response({ command_status: known ? 0 : smpp.ESME_RINVPASWD, system_id: 'npm' }));
    if (known) esme = session;
    say({ event: 'bind', system_id: pdu.system_id, known, version: pdu.interface_version });
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    say({ event: 'unbind' });
    session.send(pdu.response(), () => session.close());
  });
  session.on('submit_sm', (pdu) => {
    submits += 1;
    const id = String(submits).padStart(10, '0');
    const content = pdu.short_message;
    say({
      event: 'submit', id, to: pdu.destination_addr, ton: pdu.dest_addr_ton, data_coding: pdu.data_coding,
      text: content.message, udh: content.udh ? Buffer.concat(content.udh.map((part) => Buffer.from(part))).toString('hex') : '',
      receipt: pdu.registered_delivery,
    });
    const receipt = () => session.deliver_sm({
      esm_class: 4, source_addr: pdu.destination_addr, destination_addr: pdu.source_addr,
      ...(how.form === 'text' ? {} : { receipted_message_id: id, message_state: smpp.MESSAGE_STATE.DELIVERED }),
      short_message: how.form === 'tlv' ? ''
        : `id:${id} sub:001 dlvrd:001 submit date:2611230930 done date:2611230931 stat:DELIVRD err:000 text:`,
    }, (answer) => say({ event: 'receipt_resp', id, status: answer.command_status }));
    if (pdu.registered_delivery && how.early) receipt();
    session.send(pdu.response({ message_id: id }));
    if (pdu.registered_delivery && !how.early) receipt();
  });
});

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  if (order.do === 'enquire') {
    esme.enquire_link({}, (answer) => say({ event: 'enquire_resp', status: answer.command_status }));
    return;
  }
  if (order.do === 'receipts') {
    how = order;
    say({ event: 'ready' });
    return;
  }
  if (order.do === 'raw') {
    esme.deliver_sm({
      source_addr: '13900000021', destination_addr: '1069000000', data_coding: order.data_coding,
      short_message: order.octets ? Buffer.from(order.octets, 'hex') : { message: order.text },
    }, (answer) => say({ event: 'deliver_resp', status: answer.command_status }));
    return;
  }
  for (const part of order.parts) {
    esme.deliver_sm({
      source_addr_ton: 1, source_addr_npi: 1, source_addr: '8613900000021', destination_addr: '1069000000', data_coding: 8,
      esm_class: smpp.ESM_CLASS.UDH_INDICATOR,
      short_message: { udh: Buffer.from([5, 0, 3, part.reference, part.total, part.number]), message: part.text },
    }, (answer) => say({ event: 'deliver_resp', number: part.number, status: answer.command_status }));
  }
}).on('close', () => process.exit(0));

server.listen(0, '127.0.0.1', () => say({ event: 'listening', port: server.address().port }));
