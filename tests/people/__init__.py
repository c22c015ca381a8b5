"""People at the gateway: links, replies, commands, the sheet of a shift, the trail."""
