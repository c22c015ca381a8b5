"""HTTP out, for every transport that posts: which addresses may be spoken to, the one request, and signatures."""
