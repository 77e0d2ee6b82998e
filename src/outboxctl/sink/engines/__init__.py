"""The two client libraries behind one small interface, `Client`: nothing else imports either of them."""
