#include "textflag.h"

DATA nib<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL nib<>(SB), RODATA|NOPTR, $8

// func teddyAVX2(lo, hi *[4][16]uint8, p *byte, blocks int, out *uint64) int
//
// For each of four byte positions the low and the high nibble choose a set of
// buckets by VPSHUFB; the intersection of all eight is not empty where a window
// may begin. The result is written for every block and the pointer moves on
// only when it is not empty, which spares a branch that could not be predicted.
TEXT ·teddyAVX2(SB), NOSPLIT, $0-48
	MOVQ lo+0(FP), AX
	MOVQ hi+8(FP), BX
	MOVQ p+16(FP), SI
	MOVQ blocks+24(FP), CX
	MOVQ out+32(FP), DI
	MOVQ DI, R11
	VBROADCASTI128 (AX), Y0
	VBROADCASTI128 (BX), Y1
	VBROADCASTI128 16(AX), Y2
	VBROADCASTI128 16(BX), Y3
	VBROADCASTI128 32(AX), Y4
	VBROADCASTI128 32(BX), Y5
	VBROADCASTI128 48(AX), Y6
	VBROADCASTI128 48(BX), Y7
	VPBROADCASTQ nib<>(SB), Y15
	VPXOR Y14, Y14, Y14
	XORQ R8, R8
	TESTQ CX, CX
	JZ done
loop:
	VMOVDQU (SI), Y8
	VMOVDQU 1(SI), Y9
	VPSRLW $4, Y8, Y10
	VPSRLW $4, Y9, Y11
	VPAND Y15, Y8, Y8
	VPAND Y15, Y9, Y9
	VPAND Y15, Y10, Y10
	VPAND Y15, Y11, Y11
	VPSHUFB Y8, Y0, Y8
	VPSHUFB Y10, Y1, Y10
	VPSHUFB Y9, Y2, Y9
	VPSHUFB Y11, Y3, Y11
	VPAND Y8, Y10, Y8
	VPAND Y9, Y11, Y9
	VPAND Y8, Y9, Y12
	VMOVDQU 2(SI), Y8
	VMOVDQU 3(SI), Y9
	VPSRLW $4, Y8, Y10
	VPSRLW $4, Y9, Y11
	VPAND Y15, Y8, Y8
	VPAND Y15, Y9, Y9
	VPAND Y15, Y10, Y10
	VPAND Y15, Y11, Y11
	VPSHUFB Y8, Y4, Y8
	VPSHUFB Y10, Y5, Y10
	VPSHUFB Y9, Y6, Y9
	VPSHUFB Y11, Y7, Y11
	VPAND Y8, Y10, Y8
	VPAND Y9, Y11, Y9
	VPAND Y8, Y9, Y8
	VPAND Y8, Y12, Y12
	VPCMPEQB Y14, Y12, Y12
	VPMOVMSKB Y12, AX
	XORL $-1, AX
	MOVL AX, (DI)
	MOVL R8, 4(DI)
	LEAQ 8(DI), R10
	TESTL AX, AX
	CMOVQNE R10, DI
	INCQ R8
	ADDQ $32, SI
	DECQ CX
	JNZ loop
done:
	VZEROUPPER
	SUBQ R11, DI
	SHRQ $3, DI
	MOVQ DI, ret+40(FP)
	RET

// func teddyVBMI(tab *[4][128]uint8, p *byte, blocks int, out *uint64) int
//
// The same on 64 bytes with one look-up of the whole 7-bit byte per position,
// VPERMI2B over 128 entries. Bytes from 0x80 on are looked up as if their top
// bit were clear: more candidates, no fewer.
TEXT ·teddyVBMI(SB), NOSPLIT, $0-40
	MOVQ tab+0(FP), AX
	MOVQ p+8(FP), SI
	MOVQ blocks+16(FP), CX
	MOVQ out+24(FP), DI
	MOVQ DI, R11
	VMOVDQU64 (AX), Z0
	VMOVDQU64 64(AX), Z1
	VMOVDQU64 128(AX), Z2
	VMOVDQU64 192(AX), Z3
	VMOVDQU64 256(AX), Z4
	VMOVDQU64 320(AX), Z5
	VMOVDQU64 384(AX), Z6
	VMOVDQU64 448(AX), Z7
	XORQ R8, R8
	TESTQ CX, CX
	JZ done2
loop2:
	VMOVDQU64 (SI), Z8
	VMOVDQU64 1(SI), Z9
	VMOVDQU64 2(SI), Z10
	VMOVDQU64 3(SI), Z11
	VPERMI2B Z1, Z0, Z8
	VPERMI2B Z3, Z2, Z9
	VPERMI2B Z5, Z4, Z10
	VPERMI2B Z7, Z6, Z11
	VPANDQ Z8, Z9, Z8
	VPTERNLOGQ $0x80, Z10, Z11, Z8
	VPTESTMB Z8, Z8, K1
	KMOVQ K1, AX
	MOVQ R8, (DI)
	MOVQ AX, 8(DI)
	LEAQ 16(DI), R10
	TESTQ AX, AX
	CMOVQNE R10, DI
	INCQ R8
	ADDQ $64, SI
	DECQ CX
	JNZ loop2
done2:
	VZEROUPPER
	SUBQ R11, DI
	SHRQ $4, DI
	MOVQ DI, ret+32(FP)
	RET

