"""Mail out: what ``to_mail`` is made of besides the wire itself."""
