-- What analysts see. A database of its own, so that a grant on it is the whole
-- grant; the views read with the rights of whoever asks.
CREATE DATABASE IF NOT EXISTS {bi}
