"""Files: uploads, ids, URLs that expire, and samples of each kind."""
