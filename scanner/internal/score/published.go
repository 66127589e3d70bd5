package score

// published are values, in small letters, that standards and the pages of programs
// that everybody reads give as examples: they are copied into documents, tests and
// code everywhere, and open nothing.
var published = partsOf(
	// RFC 6749 (OAuth 2.0), 6750 and 7662: access, refresh and authorisation codes,
	// the client's secrets, the owner's password.
	"2yotnfzfejr1zcsicmwpaa", "tgzv3jokf0xg5qx2tlkwia", "splxlobezqqybys6wxsbia", "7fjfp0zbr1ktdrbnfvdmiw", "gx1fbat3bv", "czzcagrsa3f0mzpnwdfmqmf0m2jw", "a3ddj3w",
	"mf_9.b5f-4.1jqm",
	// RFC 7009, 7591 and 8628; OpenID Connect Core and Registration.
	"45ghiukldjahdnhzdauz", "cf136dc3c1fc93f31185e5885805d", "gmrhmhcxhwazkoeqimeg_dnyesnkunhszisk9es", "slav32hkkg", "8xloxbtzp8", "zjycqe3ggrvdrudkyzs0xhgv_z45dukhcu0gbr1va",
	// RFC 7636 (PKCE): a verifier. RFC 7515 (JWS) and 7517 (JWK): keys of HMAC.
	"dbjftjez4cvp-mb92k27uhbuju1p1r_ww1gfwfoejxk", "aym1sysppbydfgzld3umj1qzkobwvmkoqq-estjqlr_t", "gawgguftuwtngxpspvhjkw",
	// RFC 4226 and 6238: the secret of HOTP and TOTP; those of Google Authenticator's
	// page and of most tutorials.
	"gezdgnbvgy3tqojqgezdgnbvgy3tqojq", "jbswy3dpehpk3pxp", "hxdmvjecjjwsrb3hwizr4ifugftmxboz",
	// The page of Hawk, which many implement.
	"werxhqb98rpaxn39848xrunpaw3489ruxnpa98w4rxn",
)
