package prefilter

// per100k counts each 7-bit byte in 100,000 bytes of typical text: half
// program source and prose, half application logs. It only steers which
// window of a literal is looked for and which windows share a bucket, so that
// its precision decides speed, never results.
var per100k = [128]uint16{
	1, 1, 1, 1, 1, 1, 1, 1, 1, 3090, 2162, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	8692, 108, 3244, 10, 13, 68, 76, 115, 821, 821, 159, 55, 2058, 1512, 1764, 871,
	2536, 2864, 2347, 1494, 1705, 1888, 1737, 1214, 1276, 1155, 1765, 54, 60, 889, 50, 40,
	2, 570, 206, 313, 346, 379, 238, 138, 150, 405, 9, 80, 287, 386, 214, 471,
	359, 83, 488, 413, 665, 183, 284, 143, 558, 26, 205, 293, 78, 292, 6, 810,
	15, 3301, 1168, 2074, 2337, 5334, 1617, 862, 676, 2669, 53, 457, 1488, 988, 2602, 2197,
	1248, 180, 3064, 2885, 3582, 1585, 804, 368, 841, 641, 67, 516, 44, 516, 3, 1,
}

// frequency is the probability of each byte. Bytes from 0x80 on count as rare.
var frequency = func() (f [256]float64) {
	for b := range f {
		f[b] = 1e-5
		if b < len(per100k) {
			f[b] = float64(per100k[b]) / 1e5
		}
	}
	return f
}()
