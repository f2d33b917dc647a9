"""The parts of the client that need no node: X25519, HKDF, MessagePack, the JSON form."""

import math
import random
import unittest

import json_form
import msgpack
from session import hkdf
from x25519 import generate, x25519


class X25519(unittest.TestCase):
    def test_vectors_of_rfc_7748_section_5_2(self):
        vectors = (
            (
                "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
            ),
            (
                "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
            ),
        )
        for scalar, u, result in vectors:
            self.assertEqual(x25519(bytes.fromhex(scalar), bytes.fromhex(u)).hex(), result)

    def test_iterations_of_rfc_7748_section_5_2(self):
        k = u = bytes([9]) + bytes(31)
        for i in range(1000):
            k, u = x25519(k, u), k
            if i == 0:
                self.assertEqual(k.hex(), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
        self.assertEqual(k.hex(), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")

    def test_both_sides_agree(self):
        for _ in range(5):
            (a, public_a), (b, public_b) = generate(), generate()
            self.assertEqual(x25519(a, public_b), x25519(b, public_a))


class Hkdf(unittest.TestCase):
    def test_first_block_of_rfc_5869_case_1(self):
        got = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)))
        self.assertEqual(got.hex(), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")


class MessagePack(unittest.TestCase):
    def test_golden_bytes_from_the_table_of_the_specification(self):
        rows = (
            (None, "c0"), (False, "c2"), (True, "c3"), (0, "00"), (127, "7f"), (128, "cc80"), (255, "ccff"),
            (256, "cd0100"), (65536, "ce00010000"), (2**32, "cf0000000100000000"), (2**64 - 1, "cf" + "ff" * 8),
            (-1, "ff"), (-32, "e0"), (-33, "d0df"), (-128, "d080"), (-129, "d1ff7f"), (-32769, "d2ffff7fff"),
            (-(2**63), "d38000000000000000"), (1.5, "cb3ff8000000000000"), ("", "a0"), ("abc", "a3616263"),
            ("x" * 32, "d920" + "78" * 32), ("x" * 256, "da0100" + "78" * 256), (b"", "c400"), (b"\x01", "c40101"),
            ([], "90"), ([1] * 16, "dc0010" + "01" * 16), ({}, "80"), ({"a": [None]}, "81a16191c0"),
        )
        for value, wire in rows:
            self.assertEqual(msgpack.pack(value).hex(), wire)
            self.assertEqual(msgpack.unpack(bytes.fromhex(wire)), value)

    def test_every_prefix_is_refused(self):
        data = msgpack.pack({"a": [1, 2.5, b"xyz", "text" * 20, {"b": None}], "c": -70000})
        for size in range(len(data)):
            with self.assertRaises(ValueError):
                msgpack.unpack(data[:size])

    def test_garbage_raises_nothing_but_value_error(self):
        for seed in range(5000):
            data = random.Random(seed).randbytes(seed % 40)
            try:
                msgpack.unpack(data)
            except ValueError:
                pass
        for bomb in (b"\x91" * 100000, b"\xdd\xff\xff\xff\xff", b"\x81\xa0" * 100000):
            with self.assertRaises(ValueError):
                msgpack.unpack(bomb)

    def test_text_that_is_no_utf_8_survives(self):
        self.assertEqual(msgpack.pack(msgpack.unpack(b"\xa2\xff\xfe")), b"\xa2\xff\xfe")


class JsonForm(unittest.TestCase):
    def test_what_json_lacks_has_a_tag_and_comes_back(self):
        rows = (
            (b"\x01\x02\x03", {"$bytes": "AQID"}),
            ("\udcff", {"$text": "/w=="}),
            (math.inf, {"$float": "inf"}),
            ({"$bytes": "AQID"}, {"$$bytes": "AQID"}),
            ({"$ref": 1}, {"$ref": 1}),
            ({"\udcff": 1}, {"$text:/w==": 1}),
            ([None, {"a": b""}], [None, {"a": {"$bytes": ""}}]),
        )
        for value, form in rows:
            self.assertEqual(json_form.to_json(value), form)
            self.assertEqual(json_form.from_json(form), value)

    def test_wrong_tags_are_refused(self):
        for form in ({"$bytes": 5}, {"$bytes": "*"}, {"$float": "big"}, {"$bytes": "AQID", "x": 1}):
            with self.assertRaises(ValueError):
                json_form.from_json(form)


if __name__ == "__main__":
    unittest.main()
